package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// AddUser makes the server accept these keys too, which may do nothing until Allow says what.
func (s *S3) AddUser(ctx context.Context, keys S3Keys) error {
	account := fmt.Sprintf("<Account><Access>%s</Access><Secret>%s</Secret><Role>user</Role></Account>", keys.Access, keys.Secret)
	_, err := s.call(ctx, http.MethodPatch, "create-user", "", nil, []byte(account))
	if err != nil && strings.Contains(err.Error(), "XAdminUserExists") {
		return nil
	}
	return op("AddUser", s.name, err)
}

// Allow lets the user of these keys do these actions ("s3:GetObject") on the bucket and its objects, and nothing else there.
func (s *S3) Allow(ctx context.Context, bucket string, keys S3Keys, actions ...string) error {
	if len(actions) == 0 {
		_, err := s.call(ctx, http.MethodDelete, bucket, "", url.Values{"policy": {""}}, nil)
		return op("Allow", bucket, err)
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]any{"AWS": []string{keys.Access}}, "Action": actions,
		"Resource": []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"},
	}}})
	if err == nil {
		_, err = s.call(ctx, http.MethodPut, bucket, "", url.Values{"policy": {""}}, policy)
	}
	return op("Allow", bucket, err)
}
