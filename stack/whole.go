package stack

import (
	"archive/tar"
	"errors"
	"io"

	"github.com/nuvla/nuvlaops"
)

// wholeArchive hands on a tar archive, and ends with an error where it ends too early: an engine that cannot read a file to its
// end writes no more, and closes the archive as if that was all. Close it.
func wholeArchive(archive io.Reader) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		err := copyWhole(w, archive)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = &nuvlaops.Error{Reason: "the engine's archive of the volume ends too early", Err: errors.Join(nuvlaops.ErrVerification, err),
				Hint: "it cannot read all files: see its log, and the disk of its node"}
		}
		_ = w.CloseWithError(err)
	}()
	return r
}

func copyWhole(to io.Writer, archive io.Reader) error {
	const block = 512
	var read counter
	all := io.TeeReader(archive, io.MultiWriter(to, &read))
	for files := tar.NewReader(all); ; {
		if _, err := io.Copy(io.Discard, files); err != nil {
			return err
		}
		end := (read + block - 1) / block * block // of the file
		switch _, err := files.Next(); {
		case errors.Is(err, io.EOF) && read < end+block: // to the reader the mark of the end, blocks of zeros, need not be there
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			_, err = io.Copy(io.Discard, all)
			return err
		case err != nil:
			return err
		}
	}
}

// counter counts bytes.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
