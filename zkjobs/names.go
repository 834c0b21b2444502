package zkjobs

import (
	"strconv"
	"strings"
)

// The names of the queue, as kazoo's LockingQueue makes them.
const (
	entriesNode = "/entries"
	takenNode   = "/taken"
	entryPrefix = "entry-"
)

// parsed is what an entry's name says.
type parsed struct {
	priority int
	number   int64 // of ZooKeeper's counter
}

// parseEntry reads entry-PPP-SSSSSSSSSS.
func parseEntry(name string) (parsed, bool) {
	rest, found := strings.CutPrefix(name, entryPrefix)
	if !found || len(rest) != len("PPP-SSSSSSSSSS") || rest[3] != '-' {
		return parsed{}, false
	}
	priority, err := strconv.ParseUint(rest[:3], 10, 16)
	if err != nil {
		return parsed{}, false
	}
	number, err := strconv.ParseUint(rest[4:], 10, 31)
	if err != nil {
		return parsed{}, false
	}
	return parsed{priority: int(priority), number: int64(number)}, true
}

// entryName is the name that a sequential create completes.
func entryName(priority int) string {
	s := strconv.Itoa(priority)
	return entryPrefix + "000"[len(s):] + s + "-"
}
