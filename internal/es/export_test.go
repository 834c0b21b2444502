package es

// SetMaxAnswer makes the bound of an answer small enough to be tested, until the returned function is called.
func SetMaxAnswer(n int64) (undo func()) {
	before := maxAnswer
	maxAnswer = n
	return func() { maxAnswer = before }
}
