package zkjobs

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-zookeeper/zk"

	"github.com/nuvla/nuvlaops"
)

// ConnectOptions says how to connect to ZooKeeper. Zero fields take the defaults.
type ConnectOptions struct {
	// SessionTimeout is asked for; the server has the last word. Default 10 s.
	SessionTimeout time.Duration
	// ConnectTimeout limits the wait for a session, beside the context. Default 30 s.
	ConnectTimeout time.Duration
	// CallTimeout limits each call, beside its context: while no server answers, calls wait. Default 30 s.
	CallTimeout time.Duration
	// Chroot is put before every path: "/nuvla". The hosts may carry it instead, as in "zk:2181/nuvla"; another one there is
	// ErrInvalid.
	Chroot string
	// User, without a colon, and Password are for digest authentication. One without the other is ErrInvalid.
	User, Password string
	// TLS connects to a secure client port.
	TLS *tls.Config
	// Retry is the policy for reads. A write is never repeated; for MaxElapsed, Apply goes on with what transactions whose
	// replies were lost have not written.
	Retry nuvlaops.RetryPolicy
	// Logger gets a debug record for each repetition. Nil discards.
	Logger *slog.Logger
}

func (o *ConnectOptions) withDefaults() ConnectOptions {
	out := ConnectOptions{}
	if o != nil {
		out = *o
	}
	setDefault(&out.SessionTimeout, 10*time.Second)
	setDefault(&out.ConnectTimeout, 30*time.Second)
	setDefault(&out.CallTimeout, 30*time.Second)
	return out
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func (o ConnectOptions) validate() error {
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"SessionTimeout", o.SessionTimeout}, {"ConnectTimeout", o.ConnectTimeout}, {"CallTimeout", o.CallTimeout}} {
		if f.d < 0 {
			return &nuvlaops.Error{Resource: "ConnectOptions." + f.name, Reason: fmt.Sprintf("%v is negative", f.d), Err: nuvlaops.ErrInvalid}
		}
	}
	if o.Chroot != "" && (!strings.HasPrefix(o.Chroot, "/") || strings.HasSuffix(o.Chroot, "/")) {
		return &nuvlaops.Error{Resource: "ConnectOptions.Chroot", Reason: fmt.Sprintf("%q must begin with / and not end with it", o.Chroot),
			Err: nuvlaops.ErrInvalid}
	}
	if strings.Contains(o.User, ":") || (o.User == "") != (o.Password == "") {
		return &nuvlaops.Error{Resource: "ConnectOptions.User", Reason: "want a user without colon, and a password", Err: nuvlaops.ErrInvalid}
	}
	return o.Retry.Validate()
}

// ParseHosts reads addresses in the forms that ZooKeeper's clients take: "zk", "zk:2181", "a:2181,b:2181/chroot", several
// of them also divided by spaces. The chroot holds for all, and may stand behind each. The port defaults to 2181. Error:
// ErrInvalid (no address, or two chroots).
func ParseHosts(lists ...string) (hosts []string, chroot string, err error) {
	for _, list := range lists {
		for _, field := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			address, root, _ := strings.Cut(field, "/")
			if root = strings.TrimRight(root, "/"); root != "" {
				if chroot != "" && chroot != "/"+root {
					return nil, "", &nuvlaops.Error{Resource: field, Reason: "another chroot than " + chroot, Err: nuvlaops.ErrInvalid}
				}
				chroot = "/" + root
			}
			if address == "" {
				continue
			}
			host, err := withPort(address)
			if err != nil {
				return nil, "", err
			}
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil, "", &nuvlaops.Error{Reason: "no address of ZooKeeper", Err: nuvlaops.ErrInvalid}
	}
	return hosts, chroot, nil
}

// withPort completes an address, or says that it is none.
func withPort(address string) (string, error) {
	full := address
	if !strings.Contains(address, ":") || strings.HasSuffix(address, "]") {
		full += ":" + strconv.Itoa(zk.DefaultPort)
	}
	_, port, err := net.SplitHostPort(full)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", &nuvlaops.Error{Resource: address, Reason: "not an address of ZooKeeper: want HOST, HOST:PORT or [IPv6]:PORT", Err: nuvlaops.ErrInvalid}
	}
	return full, nil
}

// Connect returns when there is a session with one of the hosts (and the user is authenticated), or when the context
// or ConnectTimeout ends. The caller closes the connection.
//
// Errors: ErrInvalid, ErrDenied, ErrUnavailable (no session in time; it names the last failure).
func Connect(ctx context.Context, hosts []string, opts *ConnectOptions) (*Conn, error) {
	c, err := connect(ctx, hosts, opts.withDefaults())
	if err != nil {
		return nil, nuvlaops.Wrap("zkjobs.Connect", strings.Join(hosts, ","), err)
	}
	return c, nil
}

func connect(ctx context.Context, lists []string, opts ConnectOptions) (*Conn, error) {
	hosts, chroot, err := ParseHosts(lists...)
	if err != nil {
		return nil, err
	}
	if opts.Chroot != "" && chroot != "" && opts.Chroot != chroot {
		return nil, &nuvlaops.Error{Resource: "ConnectOptions.Chroot", Reason: fmt.Sprintf("%q is another one than that of the hosts, %s", opts.Chroot, chroot), Err: nuvlaops.ErrInvalid}
	}
	opts.Chroot = cmp.Or(opts.Chroot, chroot)
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c := &Conn{opts: opts, chroot: opts.Chroot, session: make(chan struct{})}
	d := newDialer(hosts, opts)
	raw, events, err := zk.Connect(hosts, opts.SessionTimeout, zk.WithHostProvider(d), zk.WithDialer(d.dial),
		zk.WithLogger(zkLog{opts.Logger}), zk.WithLogInfo(false), zk.WithEventCallback(c.observe))
	if err != nil {
		d.cancel()
		return nil, fmt.Errorf("connect: %w", err)
	}
	c.zk, c.events, c.dialer = raw, events, d
	if err := c.begin(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// begin waits for the first session and authenticates it; go-zookeeper does so again after each reconnection.
func (c *Conn) begin(ctx context.Context) error {
	until := time.Now().Add(c.opts.ConnectTimeout)
	limit := time.NewTimer(c.opts.ConnectTimeout)
	defer limit.Stop()
	select {
	case <-c.session:
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), c.dialer.lastError())
	case <-limit.C:
		reason := fmt.Sprintf("no session within %v", c.opts.ConnectTimeout)
		if last := c.dialer.lastError(); last != nil {
			reason += ": " + last.Error()
		}
		return &nuvlaops.Error{Reason: reason, Hint: "check that ZooKeeper runs and that its address is right", Err: nuvlaops.ErrUnavailable}
	}
	if c.opts.User == "" {
		return nil
	}
	late := &nuvlaops.Error{Reason: fmt.Sprintf("not authenticated within %v", c.opts.ConnectTimeout), Hint: "check that ZooKeeper runs", Err: nuvlaops.ErrUnavailable}
	ctx, cancel := context.WithDeadlineCause(ctx, until, late)
	defer cancel()
	_, err := read(ctx, c, func() (struct{}, error) { // a session that is cut meanwhile comes back
		return struct{}{}, c.zk.AddAuth("digest", []byte(c.opts.User+":"+c.opts.Password))
	})
	return err
}
