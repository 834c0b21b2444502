package es

import "strings"

// s3Words tell errors of S3 apart for those servers of Elasticsearch whose AWS SDK leaves the code out (version 2, from 8.19 and
// 9.1 on): what remains is the sentence of the S3 server, and these are AWS's own, which most others repeat.
var s3Words = []struct{ code, words string }{
	{"NoSuchBucket", "specified bucket does not exist"},
	{"InvalidAccessKeyId", "access key id you provided does not exist"},
	{"SignatureDoesNotMatch", "request signature we calculated does not match"},
	{"AccessDenied", "access denied"},
	{"AccessDenied", "is not authorized to perform"},
	{"PermanentRedirect", "must be addressed using the specified endpoint"},
	{"AuthorizationHeaderMalformed", "authorization header is malformed"},
}

// S3Code returns the code of an S3 error that the chain holds ("NoSuchBucket"), or "".
func (e *ServerError) S3Code() string {
	for _, c := range e.Chain {
		if _, rest, found := strings.Cut(c.Reason, "Error Code: "); found {
			if end := strings.IndexAny(rest, ";)"); end >= 0 {
				return strings.TrimSpace(rest[:end])
			}
		}
		sentence, _, found := strings.Cut(c.Reason, "(Service: S3, ")
		if !found {
			continue
		}
		sentence = strings.ToLower(sentence)
		for _, w := range s3Words {
			if strings.Contains(sentence, w.words) {
				return w.code
			}
		}
	}
	return ""
}
