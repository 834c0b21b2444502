package cli

import (
	"encoding/json"
	"fmt"

	"github.com/nuvla/nuvlaops/snapshot"
)

// RepositoryUsage is the help of -allow-unknown-settings.
const RepositoryUsage = "send settings of -repository-file that these programs do not know, too: Elasticsearch takes any name, so a mistyped one is otherwise refused here"

// ReadRepository reads and checks the file of -repository-file: the type and the settings of a snapshot repository, in the
// form that is sent to PUT _snapshot/NAME. Each error is one of usage.
func ReadRepository(file string, allowUnknown bool) (snapshot.Settings, error) {
	var s snapshot.Settings
	raw, err := ReadFile(file)
	if err != nil {
		return s, Usagef("-repository-file: %v", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, Usagef("-repository-file %s: %v", file, err)
	}
	s.AllowUnknown = allowUnknown
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("%w: -repository-file %s: %w", ErrUsage, file, err)
	}
	return s, nil
}
