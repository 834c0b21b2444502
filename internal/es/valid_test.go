package es_test

import (
	"errors"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

func TestWhatIsNoClientIsRefused(t *testing.T) {
	for _, none := range []es.Client{nil, (*es.Transport)(nil)} {
		if err := es.CheckClient(none); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%T: %v, want ErrInvalid", none, err)
		}
	}
	if err := es.CheckClient(answers(200, "")); err != nil {
		t.Error(err)
	}
}

func TestANameOfARepositoryIsOneName(t *testing.T) {
	for _, bad := range []string{"", "*", "a,b", "a b", "a/b", `a\b`, "a#", "_all", "<a>", "a\n", "\x1b[2Ja", "a\u009b", "\xff"} {
		if err := es.CheckRepository(bad); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", bad, err)
		}
	}
	for _, good := range []string{"s3_backup", "S3-Backup.2"} {
		if err := es.CheckRepository(good); err != nil {
			t.Error(err)
		}
	}
}
