// Package metrics is how the example programs tell Prometheus what they did: a file for node_exporter's textfile collector,
// or a handler that is scraped. A program makes a Set from what it knows each time, so nothing is kept between two reads.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Set is the metrics of one moment.
type Set struct {
	registry *prometheus.Registry
	labels   prometheus.Labels
}

// New makes an empty set. Each metric carries the labels.
func New(labels map[string]string) *Set {
	return &Set{registry: prometheus.NewRegistry(), labels: labels}
}

// Gauge adds a value.
func (s *Set) Gauge(name, help string, value float64) {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: s.labels})
	g.Set(value)
	s.registry.MustRegister(g)
}

// Counter adds a value that only grows; its name ends in _total.
func (s *Set) Counter(name, help string, value float64) {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: s.labels})
	c.Add(value)
	s.registry.MustRegister(c)
}

// Time adds a moment in seconds since 1970. A zero time is left out: absent() finds what never happened, a 0 would not.
func (s *Set) Time(name, help string, at time.Time) {
	if !at.IsZero() {
		s.Gauge(name, help, float64(at.UnixMilli())/1000)
	}
}

// Moment is the time that Time has written as a value; zero for one that no calendar has, which JSON could not hold either.
func Moment(value float64) time.Time {
	const end = 253402300800 // the year 10000
	if !(value >= 0 && value < end) {
		return time.Time{}
	}
	return time.UnixMilli(int64(value * 1000))
}

// By adds a value for each value of one more label.
func (s *Set) By(name, help, label string, values map[string]float64) {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: s.labels}, []string{label})
	for k, value := range values {
		v.WithLabelValues(k).Set(value)
	}
	s.registry.MustRegister(v)
}

// WriteFile writes the set in Prometheus' text format. The file is whole or what it was. Its name must end in .prom for
// node_exporter to read it.
func (s *Set) WriteFile(path string) error {
	return prometheus.WriteToTextfile(path, s.registry)
}

// Handler answers each request with the set of that moment.
func Handler(now func() *Set) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		promhttp.HandlerFor(now().registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}
