package es

import (
	"net/http"

	"github.com/nuvla/nuvlaops"
)

// kindOf finds the sentinel of an answer. The type decides before the status does: Elasticsearch answers 500 for most
// of what goes wrong with a repository, and 400 for a name that is taken as well as for one that is malformed.
func kindOf(status int, s *ServerError) error {
	for _, rule := range rules {
		if rule.matches(s) {
			return rule.kind
		}
	}
	switch status {
	case http.StatusBadRequest:
		return nuvlaops.ErrInvalid
	case http.StatusUnauthorized, http.StatusForbidden:
		return nuvlaops.ErrDenied
	case http.StatusNotFound:
		return nuvlaops.ErrNotFound
	case http.StatusMethodNotAllowed:
		return nuvlaops.ErrUnsupported
	case http.StatusConflict:
		return nuvlaops.ErrConflict
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nuvlaops.ErrUnavailable
	}
	// Outside of a verification an error of S3 comes with the type of what failed: i_o_exception, snapshot_exception.
	if s.Says("(Service: Amazon S3; ") || s.Says("(Service: S3, ") || s.Has("sdk_client_exception") {
		return nuvlaops.ErrRepository
	}
	return nil
}

// HintRegister is what helps where a repository is not registered.
const HintRegister = "register the repository (PUT _snapshot/NAME with its type and settings), or correct its name"

// hintOf is what an operator can do about a kind of failure, where that is the same for every call.
func hintOf(status int, s *ServerError) string {
	switch {
	case s.Has("repository_missing_exception"):
		return HintRegister
	case s.Kind != nuvlaops.ErrDenied || !s.Has("security_exception"):
		return ""
	case status == http.StatusUnauthorized:
		return "give the user name and password, or the API key, of a user of this cluster"
	}
	return "give this user a role with the privilege: one to back up needs create_snapshot and monitor, and of the indices maintenance and monitor; one to restore manage, and of the indices all"
}

type rule struct {
	kind error
	typ  string // a cause of the chain has this type; empty means any
	text string // and a reason of the chain holds this text; empty means any
}

func (r rule) matches(s *ServerError) bool {
	return (r.typ == "" || s.Has(r.typ)) && (r.text == "" || s.Says(r.text))
}

// rules are tried in order; each was seen on 8.11.3, or on what it names.
var rules = []rule{
	{kind: nuvlaops.ErrDenied, typ: "security_exception"},
	// What is read-only, by 403: it is no matter of credentials, and other requests of the call may have done their work.
	{typ: "cluster_block_exception", text: "[FORBIDDEN/"},
	{kind: nuvlaops.ErrUnsupported, text: "no handler found for uri"},
	{kind: nuvlaops.ErrNotFound, typ: "repository_missing_exception"},
	{kind: nuvlaops.ErrNotFound, typ: "snapshot_missing_exception"},
	{kind: nuvlaops.ErrNotFound, typ: "index_not_found_exception"},
	{kind: nuvlaops.ErrNotFound, typ: "snapshot_restore_exception", text: "snapshot does not exist"},
	{kind: nuvlaops.ErrExists, typ: "snapshot_restore_exception", text: "already exists"},
	{kind: nuvlaops.ErrExists, typ: "snapshot_name_already_in_use_exception"},
	{kind: nuvlaops.ErrExists, typ: "invalid_snapshot_name_exception", text: "already"},
	{kind: nuvlaops.ErrExists, typ: "resource_already_exists_exception"},
	{kind: nuvlaops.ErrInvalid, typ: "invalid_snapshot_name_exception"},
	{kind: nuvlaops.ErrBusy, typ: "concurrent_snapshot_execution_exception"},
	{kind: nuvlaops.ErrConflict, typ: "repository_conflict_exception"},
	{kind: nuvlaops.ErrConflict, typ: "snapshot_in_progress_exception"},
	{kind: nuvlaops.ErrRefused, typ: "snapshot_exception", text: "don't have primary shards"},
	{kind: nuvlaops.ErrUnavailable, typ: "snapshot_exception", text: "no longer master"}, // it goes on with the next one
	{kind: nuvlaops.ErrRepository, typ: "snapshot_exception", text: "failed to update snapshot in repository"},
	{kind: nuvlaops.ErrRepository, typ: verificationFailed},
	{kind: nuvlaops.ErrRepository, typ: "repository_exception"},
	{kind: nuvlaops.ErrRepository, text: "snapshot in a readonly repository"}, // 9.x: illegal_argument_exception and 400
	{kind: nuvlaops.ErrRepository, text: "] repository is readonly"},
}
