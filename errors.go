package nuvlaops

import (
	"errors"
	"strconv"
	"strings"
)

// Sentinels: the kinds of failure that a caller can act on. Match them with errors.Is.
var (
	// ErrNotFound: what was named does not exist (repository, snapshot, index, service, volume).
	ErrNotFound = errors.New("not found")
	// ErrExists: what was to be made exists already, with other content.
	ErrExists = errors.New("already exists")
	// ErrInvalid: an argument, a setting or a file is wrong, here or for the server; what it was for was not done.
	ErrInvalid = errors.New("invalid")
	// ErrConflict: the world changed between plan and apply, or during the call; plan again.
	ErrConflict = errors.New("conflict")
	// ErrBusy: something of the same kind is running; wait for it or come back.
	ErrBusy = errors.New("busy")
	// ErrDenied: credentials are missing, wrong or not sufficient.
	ErrDenied = errors.New("denied")
	// ErrPartial: the work ended, but not all of it; the result is returned beside the error.
	ErrPartial = errors.New("partial")
	// ErrUnavailable: no usable answer (connection, 429, 502, 503, 504) for as long as the retry policy lasted.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnsupported: this server does not have the interface that the call needs.
	ErrUnsupported = errors.New("not supported by this server")
	// ErrRepository: the snapshot repository cannot be reached, read, written or verified.
	ErrRepository = errors.New("repository failure")
	// ErrRefused: a precondition does not hold, so what needs it was left alone.
	ErrRefused = errors.New("refused")
	// ErrVerification: the call was accepted, but the state of the server afterwards is not what was asked for.
	ErrVerification = errors.New("verification failed")
)

// Error is the one error type of the SDK. A zero field means "not known" and is left out of the text.
type Error struct {
	// Op is the exported call that failed, as package.Method: "snapshot.Create".
	Op string
	// Resource is what it worked on: "s3_backup/snapshot.2026-01-02t150405z", an index, a service, a znode.
	Resource string
	// Status is the HTTP status of the server's answer; 0 when there was none.
	Status int
	// Type is the server's own name of the error: "repository_verification_exception".
	Type string
	// Reason is one sentence on the innermost cause. It never holds a secret.
	Reason string
	// Hint is one sentence on what an operator can do about it.
	Hint string
	// Err is the sentinel or the cause, for errors.Is and errors.As.
	Err error
}

// Error returns one line (OneLine): the call and its resource, the reason, the server's type and status, the hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(e.Op + " " + e.Resource))
	write := func(s string) {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(s)
	}
	switch {
	case e.Reason != "":
		write(e.Reason)
	case e.Err != nil:
		write(e.Err.Error())
	}
	if origin := e.origin(); origin != "" {
		b.WriteString(" (" + origin + ")")
	}
	if e.Hint != "" {
		write(e.Hint)
	}
	return strings.TrimSpace(OneLine(b.String()))
}

func (e *Error) origin() string {
	var parts []string
	if e.Type != "" {
		parts = append(parts, e.Type)
	}
	if e.Status != 0 {
		parts = append(parts, "HTTP "+strconv.Itoa(e.Status))
	}
	return strings.Join(parts, ", ")
}

// Unwrap returns the sentinel or the cause.
func (e *Error) Unwrap() error { return e.Err }

// Wrap puts the name of the exported call and its resource on err. An *Error without an Op is completed in a copy; an
// *Error that has one already, and nil, are returned as they are; anything else becomes the cause of a new *Error.
func Wrap(op, resource string, err error) error {
	if err == nil {
		return nil
	}
	var inner *Error
	if !errors.As(err, &inner) {
		return &Error{Op: op, Resource: resource, Err: err}
	}
	if inner.Op != "" {
		return err
	}
	out := *inner
	out.Op = op
	if out.Resource == "" {
		out.Resource = resource
	}
	if err != error(inner) { // a helper put words around it: keep them, and everything that errors.Is finds
		out.Reason, out.Err = wordsAround(err, inner), err
	}
	return &out
}

// wordsAround is the text of err with the inner error shown by its reason alone: type, status and hint follow once.
func wordsAround(err error, inner *Error) string {
	short := inner.Reason
	if short == "" && inner.Err != nil {
		short = inner.Err.Error()
	}
	return strings.Replace(err.Error(), inner.Error(), short, 1)
}
