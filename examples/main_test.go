// Package examples_test tests what stands around the programs: their container image, the compose files for Swarm, and the
// roles for Elasticsearch.
package examples_test

import (
	"testing"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
