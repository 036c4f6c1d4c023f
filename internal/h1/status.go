package h1

import "strconv"

// phrases are the reason phrases of the status codes that are registered (RFC 9110 section 15 and the IANA registry).
var phrases = [...]struct {
	status int
	phrase string
}{
	{100, "Continue"}, {101, "Switching Protocols"}, {102, "Processing"}, {103, "Early Hints"},
	{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {203, "Non-Authoritative Information"}, {204, "No Content"}, {205, "Reset Content"}, {206, "Partial Content"},
	{207, "Multi-Status"}, {208, "Already Reported"}, {226, "IM Used"},
	{300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"}, {305, "Use Proxy"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
	{400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
	{407, "Proxy Authentication Required"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"}, {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
	{414, "URI Too Long"}, {415, "Unsupported Media Type"}, {416, "Range Not Satisfiable"}, {417, "Expectation Failed"}, {421, "Misdirected Request"}, {422, "Unprocessable Content"},
	{423, "Locked"}, {424, "Failed Dependency"}, {425, "Too Early"}, {426, "Upgrade Required"}, {428, "Precondition Required"}, {429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"}, {451, "Unavailable For Legal Reasons"},
	{500, "Internal Server Error"}, {501, "Not" + " Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"},
	{506, "Variant Also Negotiates"}, {507, "Insufficient Storage"}, {508, "Loop Detected"}, {510, "Not Extended"}, {511, "Network Authentication Required"},
}

// statusLines has the status lines of the registered codes, by code less 100.
var statusLines = makeStatusLines()

func makeStatusLines() (lines [500]string) {
	for _, p := range phrases {
		lines[p.status-100] = "HTTP/1.1 " + strconv.Itoa(p.status) + " " + p.phrase + "\r\n"
	}
	return lines
}

// appendStatusLine appends the status line of status, which is from 100 to 999. The phrase of a code that is not registered is empty; the space before it is not optional (RFC 9112 section 4).
func appendStatusLine(b []byte, status int) []byte {
	if i := status - 100; i < len(statusLines) && statusLines[i] != "" {
		return append(b, statusLines[i]...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	return append(b, ' ', '\r', '\n')
}
