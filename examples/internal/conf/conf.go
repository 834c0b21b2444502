// Package conf gives the flags of a program values from the operators' configuration file and from the environment: so the
// programs share one file, /etc/nuvla/nuvla-es-backup.conf, which the script of today sources.
package conf

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

// DefaultFile is read when no other is named, and it is there.
const DefaultFile = "/etc/nuvla/nuvla-es-backup.conf"

// DefaultTimestamp is the file that a backup touches when its snapshot was seen complete.
const DefaultTimestamp = "/var/log/nuvla-es-backup-timestamp"

// Marks is the file with pins and verified drills that stands beside a timestamp file, where no other is named.
func Marks(timestamp string) string {
	return filepath.Join(filepath.Dir(timestamp), "nuvla-es-backup-marks.json")
}

// Flags defines the flags that the programs beside the backup share with it. Their values are those of Preset: so all of them
// mean one repository, and one file of marks.
func Flags(fs *flag.FlagSet, es, repository, timestamp, marks *string) {
	fs.String("conf", "", "configuration `file` of the backup program, whose names are in brackets [BACKUP_CONF] (default "+DefaultFile+" if it is there)")
	fs.StringVar(es, "es", "", "`address` of Elasticsearch [ES_URL, ES_HOST, ES_PORT] (default http://localhost:9200)")
	fs.StringVar(repository, "repository", "s3_backup", "`name` of the snapshot repository [BACKUP_REPOSITORY]")
	fs.StringVar(timestamp, "timestamp", DefaultTimestamp, "the backup's timestamp `file`, beside which the marks are [BACKUP_TIMESTAMP]")
	fs.StringVar(marks, "marks", "", "`file` with pins and verified drills [BACKUP_MARKS] (default: nuvla-es-backup-marks.json beside the timestamp file)")
}

// Key is the name of a flag in the file and in the environment: BACKUP_KEEP_DAILY for -keep-daily, ES_URL for -es.
func Key(flagName string) string {
	if flagName == "es" {
		return "ES_URL"
	}
	return "BACKUP_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// credentials are what cli.Elasticsearch reads from the environment; the file may hold them too.
var credentials = []string{"ES_API_KEY", "ES_USERNAME", "ES_PASSWORD"}

// Preset gives the flags the values of the file, then those of the environment, before the arguments are parsed. The file is
// named by the flag -conf, else by BACKUP_CONF. Of the flag -es, ES_URL stands above ES_HOST and ES_PORT. strict makes a
// BACKUP_ name in the file an error that no flag has: the program whose file it is swallows no misspelt one. Errors match
// cli.ErrUsage, and hold no value that may be a password.
func Preset(fs *flag.FlagSet, args []string, lookup func(string) (string, bool), strict bool) error {
	if cli.Helps(args) { // whoever asks for help gets it, also when the file is wrong
		return nil
	}
	named, _ := lookup(Key("conf"))
	if path, given := fileOf(args); given {
		if named = path; named == "" { // a variable of a script that holds nothing would mean another cluster
			return cli.Usagef("-conf is empty: want a file, or leave it out")
		}
	}
	path := cmp.Or(named, DefaultFile)
	file, err := read(path, named != "")
	if err != nil {
		return err
	}
	if strict {
		if err := noUnknownKeys(fs, path, file); err != nil {
			return err
		}
	}
	get := func(name string) (value, source string, found bool) {
		if v, ok := lookup(name); ok && v != "" {
			return v, "the environment", true
		}
		v, ok := file[name]
		return v, path, ok && v != ""
	}
	if user, _ := lookup("ES_USERNAME"); user != "" {
		delete(file, "ES_API_KEY") // it would be sent instead of the user whom the environment names
	}
	for _, name := range credentials {
		if v, source, ok := get(name); ok && source == path {
			if err := os.Setenv(name, v); err != nil {
				return err
			}
		}
	}
	fs.VisitAll(func(f *flag.Flag) {
		v, source, ok := get(Key(f.Name))
		if !ok || err != nil || f.Name == "conf" {
			return
		}
		if e := fs.Set(f.Name, v); e != nil {
			err = cli.Usagef("%s=%s in %s: %v", Key(f.Name), v, source, e)
		}
	})
	if err != nil {
		return err
	}
	return presetAddress(fs, get)
}

// presetAddress makes one address of ES_HOST and ES_PORT, as the script of today does. ES_URL stands above both.
func presetAddress(fs *flag.FlagSet, get func(string) (string, string, bool)) error {
	if _, _, ok := get("ES_URL"); ok {
		return nil
	}
	host, _, _ := get("ES_HOST")
	port, _, _ := get("ES_PORT")
	if host == "" {
		host = "localhost"
	}
	rest := host[strings.Index(host, "://")+1:]
	if port != "" && strings.LastIndex(rest, ":") <= strings.LastIndex(rest, "]") { // the colons of IPv6 are in brackets
		host += ":" + port
	}
	return fs.Set("es", host)
}

// noUnknownKeys: a misspelt key would be swallowed, and nothing pruned, or everything.
func noUnknownKeys(fs *flag.FlagSet, path string, file map[string]string) error {
	var known, unknown []string
	fs.VisitAll(func(f *flag.Flag) { known = append(known, Key(f.Name)) })
	for name := range file {
		if strings.HasPrefix(name, "BACKUP_") && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return cli.Usagef("%s: nobody knows %s; -h shows the names", path, strings.Join(unknown, ", "))
}

// read reads lines of KEY=value as a shell does that sources them, but for substitutions, which are an error. A file that
// nobody has named need not be there.
func read(path string, named bool) (map[string]string, error) {
	raw, err := cli.ReadFile(path)
	if err != nil {
		if !named && errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, cli.Usagef("configuration file: %v", err)
	}
	out := map[string]string{}
	exported := regexp.MustCompile(`^export[ \t]+`)
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		line = exported.ReplaceAllString(strings.TrimSpace(line), "")
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, found := strings.Cut(line, "=")
		if !found || !isName(name) {
			return nil, cli.Usagef("%s, line %d: want KEY=value", path, n)
		}
		value, err := unquote(rest)
		if err != nil {
			return nil, cli.Usagef("%s, line %d: %s: %v", path, n, name, err) // never the value: it may be a password
		}
		out[name] = value
	}
	return out, nil
}

// fileOf finds the flag -conf, which must be known before the others are parsed.
func fileOf(args []string) (path string, given bool) {
	for i, a := range args {
		name, isFlag := strings.CutPrefix(strings.Replace(a, "--", "-", 1), "-conf")
		switch {
		case isFlag && strings.HasPrefix(name, "="):
			path, given = name[1:], true
		case isFlag && name == "" && i+1 < len(args):
			path, given = args[i+1], true
		}
	}
	return path, given
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// unquote is the value of one word of the shell. A comment may follow it.
func unquote(s string) (string, error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != '\'' && (c == '$' || c == '`'):
			return "", fmt.Errorf("%q is a substitution, which this program does not make: write the value, or put it in '...'", c)
		case quote != '\'' && c == '\\':
			if i++; i == len(s) {
				return "", errors.New("the line goes on, which this program does not follow: write the value in one line")
			}
			if quote == '"' && !strings.ContainsRune("\\\"$`", rune(s[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '\'' || c == '"':
			quote = c
		case c == ' ' || c == '\t':
			if rest := strings.TrimSpace(s[i:]); rest != "" && rest[0] != '#' {
				return "", errors.New("a second word: put a value with spaces in quotes")
			}
			return b.String(), nil
		case strings.IndexByte(";&|<>()", c) >= 0:
			return "", fmt.Errorf("%q is shell: put the value in quotes", c)
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", errors.New("a quote is not closed")
	}
	return b.String(), nil
}
