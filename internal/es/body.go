package es

import (
	"bytes"
	"encoding/json"
	"io"
)

// JSON is v as the body of a request. What cannot be encoded fails when the body is read.
func JSON(v any) io.Reader {
	raw, err := json.Marshal(v)
	if err != nil {
		return unreadable{err}
	}
	return bytes.NewReader(raw)
}

type unreadable struct{ err error }

func (u unreadable) Read([]byte) (int, error) { return 0, u.err }
