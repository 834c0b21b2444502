package images_test

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// recipes is a copy that can be changed.
func recipes(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(images.Recipes(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(images.Recipes(), name)
		files[name] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTagChangesWithTheFilesThatMakeTheImageAndNoOthers(t *testing.T) {
	es811 := images.Spec{Name: images.Elasticsearch}
	es819 := images.Spec{Name: images.Elasticsearch, Version: images.ElasticsearchNextVersion}
	es9 := images.Spec{Name: images.Elasticsearch, Version: images.Elasticsearch9Version}
	zk34 := images.Spec{Name: images.ZooKeeper}
	zk39 := images.Spec{Name: images.ZooKeeper, Version: images.ZooKeeperNextVersion}
	s3, consumer := images.Spec{Name: images.S3}, images.Spec{Name: images.Consumer}
	all := []images.Spec{es811, es819, es9, zk34, zk39, s3, consumer}
	for file, changed := range map[string][]images.Spec{
		"recipes/base/Dockerfile":                        all,
		"recipes/jre/Dockerfile":                         {es811, es819, es9, zk34, zk39},
		"recipes/elasticsearch/config/elasticsearch.yml": {es811, es819, es9},
		"recipes/s3plugin/S3Store.java":                  {es811, es819, es9},
		"recipes/s3plugin/pom.xml":                       {es811, es819, es9},
		"recipes/s3plugin-8.11/plugin-security.policy":   {es811},
		"recipes/s3plugin-8.19/S3FixturePlugin.java":     {es819},
		"recipes/s3plugin-9.5/ServerRepository.java":     {es9},
		"recipes/zookeeper/bin/zkServer.sh":              {zk34, zk39},
		"recipes/zookeeper-3.9/pom.xml":                  {zk39},
		"recipes/s3/nuvlaops-entrypoint":                 {s3},
		"recipes/consumer/Dockerfile":                    {consumer},
		"recipes/elasticsearch-official/Dockerfile":      nil,
	} {
		t.Run(path.Base(path.Dir(file))+"/"+path.Base(file), func(t *testing.T) {
			files := recipes(t)
			if files[file] == nil {
				t.Fatalf("no %s", file)
			}
			files[file] = &fstest.MapFile{Data: append(bytes.Clone(files[file].Data), '\n')}
			for _, spec := range all {
				before, after := tag(t, recipes(t), spec), tag(t, files, spec)
				want := false
				for _, c := range changed {
					want = want || c == spec
				}
				if (before != after) != want {
					t.Errorf("%s %s: %s, then %s; want a change: %t", spec.Name, spec.Version, before, after, want)
				}
			}
		})
	}
}

func TestTagNamesTheVersionAndNeverTheOfficialRepository(t *testing.T) {
	for _, spec := range images.All() {
		got := tag(t, images.Recipes(), spec)
		if want := "nuvlaops-test/" + string(spec.Name) + ":" + spec.Version + "-"; !strings.HasPrefix(got, want) {
			t.Errorf("%s: want %s and a hash", got, want)
		}
	}
}

func tag(t *testing.T, files fs.FS, spec images.Spec) string {
	t.Helper()
	r, err := images.New(&images.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r.WithRecipes(files)
	tag, err := r.AssembledTag(spec)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}
