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
	{"RequestTimeTooSkewed", "difference between the request time and"},
	{"ExpiredToken", "token has expired"},
	{"ExpiredToken", "security token included in the request is invalid"}, // MinIO
	{"ExpiredToken", "token is malformed or otherwise invalid"},
	{"QuotaExceeded", "quota exceeded"},
	{"InsufficientStorage", "no space left on device"},                  // versitygw
	{"InsufficientStorage", "reached its minimum free drive threshold"}, // MinIO
	{"SlowDownRead", "is unreadable, please reduce your request"},       // MinIO, which has lost too many drives
	{"SlowDownWrite", "is unwritable, please reduce your request"},
	{"SlowDown", "reduce your request"},
	{"MissingContentMD5", "missing required header for this request: content-md5"},
	{"InvalidObjectState", "operation is not valid for the"},
}

// s3Names are codes that only one S3 server has, by what the others call the same.
var s3Names = map[string]string{
	"XAdminUserNotFound":             "InvalidAccessKeyId", // versitygw
	"XMinioStorageFull":              "InsufficientStorage",
	"XMinioAdminBucketQuotaExceeded": "QuotaExceeded",
	"TooManyRequests":                "SlowDown", // MinIO
	"InvalidTokenId":                 "ExpiredToken",
	"InvalidToken":                   "ExpiredToken",
}

// S3Code returns the code of an S3 error that the chain holds ("NoSuchBucket"), or "". An answer without a body has none.
func (e *ServerError) S3Code() string {
	for _, c := range e.Chain {
		code := s3Code(c.Reason)
		if name := s3Names[code]; name != "" {
			return name
		}
		if code != "" {
			return code
		}
	}
	return ""
}

func s3Code(reason string) string {
	if _, rest, found := strings.Cut(reason, "Error Code: "); found {
		if end := strings.IndexAny(rest, ";)"); end >= 0 && rest[:end] != "null" {
			return strings.TrimSpace(rest[:end])
		}
		return ""
	}
	if _, first, found := strings.Cut(reason, "Failed to delete some blobs ["); found { // [key][code][message],...
		if parts := strings.SplitN(first, "][", 3); len(parts) == 3 {
			return parts[1]
		}
	}
	sentence, _, found := strings.Cut(reason, "(Service: S3, ")
	if !found {
		return ""
	}
	sentence = strings.ToLower(sentence)
	for _, w := range s3Words {
		if strings.Contains(sentence, w.words) {
			return w.code
		}
	}
	return ""
}
