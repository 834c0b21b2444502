package cli

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"os"
	"strings"

	"github.com/nuvla/nuvlaops/zkjobs"
)

// ZooKeeper are the flags that say how to connect to ZooKeeper. Secrets come from files or the environment, never from an
// argument.
type ZooKeeper struct {
	tls                 bool
	ca, cert, key, auth string
}

// Flags adds -zk-tls, -zk-ca, -zk-cert, -zk-key and -zk-auth.
func (z *ZooKeeper) Flags(fs *flag.FlagSet) {
	fs.BoolVar(&z.tls, "zk-tls", false, "connect to ZooKeeper by TLS; implied by the three flags of its files")
	fs.StringVar(&z.ca, "zk-ca", "", "PEM `file` of the authorities that sign ZooKeeper's certificates (default those of the system)")
	fs.StringVar(&z.cert, "zk-cert", "", "PEM `file` of our certificate for ZooKeeper")
	fs.StringVar(&z.key, "zk-key", "", "PEM `file` of its key")
	fs.StringVar(&z.auth, "zk-auth", "", "`file` with USER:PASSWORD for digest authentication (default ZK_USERNAME and ZK_PASSWORD of the environment)")
}

// Options reads the files and says how to connect. Every mistake is a usage error that names the flag.
func (z *ZooKeeper) Options() (*zkjobs.ConnectOptions, error) {
	options := &zkjobs.ConnectOptions{}
	var err error
	if options.User, options.Password, err = z.user(); err != nil {
		return nil, err
	}
	if z.tls || z.ca != "" || z.cert != "" || z.key != "" {
		if options.TLS, err = z.config(); err != nil {
			return nil, err
		}
	}
	return options, nil
}

func (z *ZooKeeper) user() (user, password string, err error) {
	user, password = os.Getenv("ZK_USERNAME"), os.Getenv("ZK_PASSWORD")
	if z.auth == "" {
		if strings.Contains(user, ":") || (user == "") != (password == "") {
			return "", "", Usagef("want both ZK_USERNAME, without a colon, and ZK_PASSWORD in the environment, or neither")
		}
		return user, password, nil
	}
	if user != "" || password != "" {
		return "", "", Usagef("-zk-auth and ZK_USERNAME or ZK_PASSWORD in the environment: want one or the other")
	}
	raw, err := ReadFile(z.auth)
	if err != nil {
		return "", "", Usagef("-zk-auth: %w", err)
	}
	user, password, _ = strings.Cut(strings.TrimRight(string(raw), "\r\n"), ":")
	if user == "" || password == "" || strings.ContainsAny(password, "\r\n") {
		return "", "", Usagef("-zk-auth %s: want one line, USER:PASSWORD", z.auth)
	}
	return user, password, nil
}

func (z *ZooKeeper) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if z.ca != "" {
		pem, err := ReadFile(z.ca)
		if err != nil {
			return nil, Usagef("-zk-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, Usagef("-zk-ca %s: no certificate in it: want a PEM file", z.ca)
		}
	}
	switch {
	case z.cert == "" && z.key == "":
		return config, nil
	case z.cert == "":
		return nil, Usagef("-zk-key without -zk-cert: want the certificate too")
	case z.key == "":
		return nil, Usagef("-zk-cert without -zk-key: want its key too")
	}
	pair, err := tls.LoadX509KeyPair(z.cert, z.key)
	if err != nil {
		return nil, Usagef("-zk-cert %s and -zk-key %s: %w", z.cert, z.key, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
