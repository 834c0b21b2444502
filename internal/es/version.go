package es

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// Version is a server's version.
type Version struct{ Major, Minor, Patch int }

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast reports whether v is this version or a later one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || (v.Major == major && v.Minor >= minor)
}

func (v Version) before(w Version) bool {
	return slices.Compare([]int{v.Major, v.Minor, v.Patch}, []int{w.Major, w.Minor, w.Patch}) < 0
}

// Version is the oldest version among the nodes. It does not ask for /, which needs a module that a server may lack.
func (c *Conn) Version(ctx context.Context) (Version, error) {
	var answer struct {
		Nodes map[string]struct {
			Version string `json:"version"`
		} `json:"nodes"`
	}
	err := c.Read(ctx, func() esapi.Request {
		return esapi.NodesInfoRequest{NodeID: []string{"_all"}, Metric: []string{"_none"}, FilterPath: []string{"nodes.*.version"}}
	}, &answer)
	if err != nil {
		return Version{}, err
	}
	var oldest Version
	for _, n := range answer.Nodes {
		v := ParseVersion(n.Version)
		if oldest == (Version{}) || v.before(oldest) {
			oldest = v
		}
	}
	if oldest == (Version{}) {
		return Version{}, &nuvlaops.Error{Reason: "no node says its version", Err: nuvlaops.ErrUnsupported}
	}
	return oldest, nil
}

// ParseVersion reads the beginning of a version, "8.11.3" or "9.0.0-SNAPSHOT"; what is no number is 0.
func ParseVersion(text string) Version {
	text, _, _ = strings.Cut(text, "-")
	var n [3]int
	for i, part := range strings.SplitN(text, ".", 3) {
		n[i], _ = strconv.Atoi(part)
	}
	return Version{n[0], n[1], n[2]}
}
