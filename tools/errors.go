package tools

import (
	"errors"
	"fmt"
)

// Code is a stable name for a kind of error, for scripts and models.
type Code string

// The codes, and whether asking again can help is said by Error.Retry.
const (
	InvalidArgument  Code = "invalid_argument"
	UnknownOperation Code = "unknown_operation"
	NotFound         Code = "not_found"
	Ambiguous        Code = "ambiguous"
	NobodyKnown      Code = "unknown_person"
	Denied           Code = "denied"
	ReadOnly         Code = "read_only"
	TooFewApprovers  Code = "too_few_approvers"
	TooMany          Code = "too_many_requests"
	NotLoggedIn      Code = "not_logged_in"
	Unavailable      Code = "unavailable"
	Unsupported      Code = "unsupported"
	Conflict         Code = "conflict"
	Busy             Code = "busy"
	Changed          Code = "changed"
	Expired          Code = "expired"
	AlreadyDecided   Code = "already_decided"
	WrongPhrase      Code = "wrong_phrase"
	WrongPassphrase  Code = "wrong_passphrase"
	SecretNeeded     Code = "secret_needed"
	Timeout          Code = "timeout"
	Canceled         Code = "canceled"
	AuditDown        Code = "audit_unavailable"
	UnknownOutcome   Code = "unknown_outcome"
	OperationFailed  Code = "operation_failed"
	Internal         Code = "internal"
)

// Error is an error that a person or a model reads: what happened, what was
// not done, what to do next.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Retry   bool   `json:"retry"`
	// Ask is an argument with which the same call may succeed, once a person at
	// a terminal has said yes to it. It is for terminals alone.
	Ask *Ask `json:"-"`

	cause error
}

// Ask is a question about an argument.
type Ask struct {
	Param    string `json:"param"`
	Value    string `json:"value"`
	Question string `json:"question"`
}

// Errorf returns an Error whose message is for its reader: no secret, no raw
// server reply.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithHint says what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Asking adds the question whether param may be value.
func (e *Error) Asking(param, value, question string) *Error {
	e.Ask = &Ask{param, value, question}
	return e
}

// Retryable says that the same call may succeed later.
func (e *Error) Retryable() *Error {
	e.Retry = true
	return e
}

// Because keeps the cause for the log and for errors.Is; readers do not see it.
func (e *Error) Because(err error) *Error {
	e.cause = err
	return e
}

// Error returns the message and the hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " (" + e.Hint + ")"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, tools.Errorf(code, "")) compare by code.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// CodeOf returns the code of err: Internal for an error that is no Error, and
// "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
