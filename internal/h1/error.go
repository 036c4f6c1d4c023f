package h1

import "github.com/jotgate/jotgate/internal/gate"

// Error is why a message is refused. It is a small integer, so that an error costs no allocation; errors.Is and == compare it. The error of a message does not depend on the pieces
// in which it arrived.
type Error uint8

// The errors. ErrIncomplete is the only one that more bytes can mend.
const (
	// ErrIncomplete: the head or body goes on after the end of the buffer.
	ErrIncomplete Error = iota
	// ErrMethod: the method is not a token, or the request line starts with something else.
	ErrMethod
	// ErrRequestLine: the request line is not method, target and version with one space between them; this includes HTTP/0.9.
	ErrRequestLine
	// ErrTarget: the request-target has no form that is taken here, or characters that no URI has; this includes CONNECT.
	ErrTarget
	// ErrVersion: the version is well formed and not supported.
	ErrVersion
	// ErrStatusLine: the status line is malformed.
	ErrStatusLine
	// ErrBareCR: a CR without LF.
	ErrBareCR
	// ErrBareLF: a LF without CR.
	ErrBareLF
	// ErrControl: NUL or another control character.
	ErrControl
	// ErrFold: a line starts with white space (obs-fold, RFC 9112 section 5.2, or white space before the first field).
	ErrFold
	// ErrSpaceBeforeColon: white space between a field's name and the colon (RFC 9112 section 5.1).
	ErrSpaceBeforeColon
	// ErrFieldName: a field name is empty or not a token, or there is no colon.
	ErrFieldName
	// ErrHostMissing: there is no Host field.
	ErrHostMissing
	// ErrHostRepeated: there is more than one Host field.
	ErrHostRepeated
	// ErrHost: the Host field is empty or no name or address with an optional port.
	ErrHost
	// ErrHostMismatch: an absolute-form target names another host than the Host field.
	ErrHostMismatch
	// ErrLength: the value of Content-Length is not a number from 0 to 2^63-1.
	ErrLength
	// ErrLengthRepeated: Content-Length came more than once (in a response: with values that are not the same text).
	ErrLengthRepeated
	// ErrLengthAndCoding: both Content-Length and Transfer-Encoding.
	ErrLengthAndCoding
	// ErrCoding: the transfer coding is not exactly chunked.
	ErrCoding
	// ErrCodingRepeated: Transfer-Encoding came more than once.
	ErrCodingRepeated
	// ErrCodingHTTP10: Transfer-Encoding in a message of HTTP/1.0.
	ErrCodingHTTP10
	// ErrConnection: Connection is not a list of tokens.
	ErrConnection
	// ErrTrailer: Trailer announces a field that frames the message.
	ErrTrailer
	// ErrExpect: the client expects something else than 100-continue.
	ErrExpect
	// ErrHeadTooLarge: the head is larger than allowed.
	ErrHeadTooLarge
	// ErrTooManyFields: the head or trailer section has more field lines than allowed.
	ErrTooManyFields
	// ErrChunkSize: a chunk's size is not 1 to 15 hexadecimal digits.
	ErrChunkSize
	// ErrChunkExtension: a chunk's extensions have control characters or are larger than allowed.
	ErrChunkExtension
	// ErrChunkEnd: the data of a chunk is not followed by CRLF.
	ErrChunkEnd
	// ErrTrailerTooLarge: the trailer section is larger than allowed.
	ErrTrailerTooLarge
	// ErrTruncated: the connection ended before the body did.
	ErrTruncated
	// ErrUnsendable: a part of a message that was to be written cannot be written: a CR, LF or NUL in it, a name that is not a token, or a framing that the message cannot have.
	ErrUnsendable
	errorCount
)

// errorTable is the one place where an error gets its text and what a client that caused it is told.
var errorTable = [errorCount]struct {
	text   string
	reason gate.Reason
	status int // 0: that of the reason
}{
	ErrIncomplete:       {"message incomplete", gate.ReasonSlowRequest, 0},
	ErrMethod:           {"invalid method", gate.ReasonBadMessage, 0},
	ErrRequestLine:      {"malformed request line", gate.ReasonBadMessage, 0},
	ErrTarget:           {"invalid request target", gate.ReasonBadTarget, 0},
	ErrVersion:          {"unsupported HTTP version", gate.ReasonHTTPVersion, 0},
	ErrStatusLine:       {"malformed status line", gate.ReasonUpstreamProtocol, 0},
	ErrBareCR:           {"CR without LF", gate.ReasonBadMessage, 0},
	ErrBareLF:           {"LF without CR", gate.ReasonBadMessage, 0},
	ErrControl:          {"control character", gate.ReasonBadMessage, 0},
	ErrFold:             {"line starts with white space", gate.ReasonBadMessage, 0},
	ErrSpaceBeforeColon: {"white space before a colon", gate.ReasonBadMessage, 0},
	ErrFieldName:        {"invalid field name", gate.ReasonBadMessage, 0},
	ErrHostMissing:      {"missing Host", gate.ReasonBadHost, 0},
	ErrHostRepeated:     {"repeated Host", gate.ReasonBadHost, 0},
	ErrHost:             {"invalid Host", gate.ReasonBadHost, 0},
	ErrHostMismatch:     {"Host differs from the request target", gate.ReasonBadHost, 0},
	ErrLength:           {"invalid Content-Length", gate.ReasonBadMessage, 0},
	ErrLengthRepeated:   {"repeated Content-Length", gate.ReasonBadMessage, 0},
	ErrLengthAndCoding:  {"both Content-Length and Transfer-Encoding", gate.ReasonBadMessage, 0},
	ErrCoding:           {"unsupported transfer coding", gate.ReasonBadMessage, 501}, // RFC 9112 section 6.1
	ErrCodingRepeated:   {"repeated Transfer-Encoding", gate.ReasonBadMessage, 0},
	ErrCodingHTTP10:     {"Transfer-Encoding in HTTP/1.0", gate.ReasonBadMessage, 0},
	ErrConnection:       {"invalid Connection", gate.ReasonBadMessage, 0},
	ErrTrailer:          {"trailer field that frames announced", gate.ReasonBadMessage, 0},
	ErrExpect:           {"unknown expectation", gate.ReasonBadMessage, 417}, // RFC 9110 section 10.1.1
	ErrHeadTooLarge:     {"head too large", gate.ReasonHeaderLarge, 0},
	ErrTooManyFields:    {"too many fields", gate.ReasonHeaderLarge, 0},
	ErrChunkSize:        {"invalid chunk size", gate.ReasonBadMessage, 0},
	ErrChunkExtension:   {"invalid chunk extension", gate.ReasonBadMessage, 0},
	ErrChunkEnd:         {"chunk data not followed by CRLF", gate.ReasonBadMessage, 0},
	ErrTrailerTooLarge:  {"trailer section too large", gate.ReasonHeaderLarge, 0},
	ErrTruncated:        {"connection ended before the body", gate.ReasonClientGone, 0},
	ErrUnsendable:       {"message cannot be written", gate.ReasonBadForwarding, 0},
}

// Error is the text of e: a constant, without anything of the message.
func (e Error) Error() string {
	if e >= errorCount {
		return "unknown error"
	}
	return errorTable[e].text
}

// Reason is the refusal of a request with this error. An error of a response is gate.ReasonUpstreamProtocol to clients, whatever it is.
func (e Error) Reason() gate.Reason {
	if e >= errorCount {
		return gate.ReasonInternal
	}
	return errorTable[e].reason
}

// Status is the status of the answer to a request with this error: that of its reason, but for an unknown transfer coding (501) and an unknown expectation (417). A target that is too long
// counts as a head that is too large (431), since one limit holds for both.
func (e Error) Status() int {
	if e < errorCount && errorTable[e].status != 0 {
		return errorTable[e].status
	}
	return e.Reason().Kind().Status()
}
