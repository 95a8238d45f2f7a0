#include "hcp_parser.h"

#include <stdlib.h>
#include <string.h>

#if defined(_MSC_VER)
#define HCP_THREAD_LOCAL __declspec(thread)
#else
#define HCP_THREAD_LOCAL _Thread_local
#endif

/* A head that arrives in one read never leaves this scratch memory, so that an idle
 * connection owns no arena. 64 KiB is the default of max_head_size; a larger limit
 * spills into memory of its own. */
#define SCRATCH_SIZE 65536u
/* Body pieces per hcp_feed; more only pause the parser at a chunk header. */
#define MAX_SPANS 512u

static HCP_THREAD_LOCAL char scratch[SCRATCH_SIZE];
static HCP_THREAD_LOCAL hcp_span scratch_spans[MAX_SPANS];

enum { IDLE, HEAD, BODY, TRAILERS };
enum { CODING_NONE, CODING_CHUNKED, CODING_OTHER };

/* Fields that the parser itself acts on, as numbers of bits in hcp_parser.seen. */
enum {
  N_OTHER,
  N_HOST,
  N_ETAG,
  N_EXPECT,
  N_SERVER,
  N_USER_AGENT,
  N_SET_COOKIE,
  N_CONTENT_TYPE,
  N_MAX_FORWARDS,
  N_CONTENT_RANGE,
  N_CONTENT_LENGTH,
  N_CONTENT_LOCATION,
  N_CONTENT_ENCODING,
  N_TRANSFER_ENCODING,
  N_SEC_WEBSOCKET_KEY1,
  N_EXPECT_CONTINUE /* not a name: Expect with the one value that has a meaning */
};

/* A second line of one of these gives two recipients two readings of one request. */
#define SINGLETONS                                                              \
  ((1u << N_HOST) | (1u << N_ETAG) | (1u << N_SERVER) | (1u << N_USER_AGENT) |  \
   (1u << N_CONTENT_TYPE) | (1u << N_MAX_FORWARDS) | (1u << N_CONTENT_RANGE) |  \
   (1u << N_CONTENT_LENGTH) | (1u << N_CONTENT_LOCATION) |                      \
   (1u << N_TRANSFER_ENCODING))
/* In responses only framing decides; servers do repeat the descriptive ones. */
#define RESPONSE_SINGLETONS ((1u << N_CONTENT_LENGTH) | (1u << N_TRANSFER_ENCODING))

static int fail(hcp_parser *p, uint32_t error, uint64_t value) {
  p->error = error;
  p->error_value = value;
  return HPE_USER;
}

static uint64_t position(const hcp_parser *p, const char *at) {
  return p->base + (uint64_t)(at - p->data);
}

/* ---- octets -------------------------------------------------------------- */

static int is_token_char(unsigned char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return 1;
  return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static int is_hex(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* ASCII only on purpose: case folding by locale or Unicode has let foreign letters
 * complete "chunked" elsewhere. */
static int equals_ignoring_case(const char *s, size_t n, const char *lower) {
  size_t i;
  if (strlen(lower) != n) return 0;
  for (i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c >= 'A' && c <= 'Z') c = (unsigned char)(c | 0x20);
    if (c != (unsigned char)lower[i]) return 0;
  }
  return 1;
}

/* Host = uri-host [ ":" port ] (RFC 9112 section 3.2, RFC 3986 section 3.2.2); may be
 * empty. IP literals are checked for their character set only. */
static int is_host(const char *s, size_t n) {
  size_t i = 0;
  if (n > 0 && s[0] == '[') {
    for (i = 1; i < n && s[i] != ']'; i++) {
      unsigned char c = (unsigned char)s[i];
      if (!is_hex(c) && c != ':' && c != '.' && c != 'v' && c != 'V') return 0;
    }
    if (i == n || i == 1) return 0;
    i++;
  } else {
    for (; i < n && s[i] != ':'; i++) {
      unsigned char c = (unsigned char)s[i];
      if (c == '%') {
        if (n - i < 3 || !is_hex((unsigned char)s[i + 1]) || !is_hex((unsigned char)s[i + 2]))
          return 0;
        i += 2;
      } else if (!is_token_char(c) && strchr("(),;=", c) == NULL) {
        return 0;
      } else if (c == '#' || c == '^' || c == '`' || c == '|') {
        return 0;
      }
    }
  }
  if (i == n) return 1;
  if (s[i] != ':') return 0;
  for (i++; i < n; i++)
    if (s[i] < '0' || s[i] > '9') return 0;
  return 1;
}

static uint8_t name_id(const char *s, size_t n) {
#define IS(text, id) \
  if (equals_ignoring_case(s, n, text)) return id
  switch (n) {
    case 4:
      IS("host", N_HOST);
      IS("etag", N_ETAG);
      break;
    case 6:
      IS("expect", N_EXPECT);
      IS("server", N_SERVER);
      break;
    case 10:
      IS("user-agent", N_USER_AGENT);
      IS("set-cookie", N_SET_COOKIE);
      break;
    case 12:
      IS("content-type", N_CONTENT_TYPE);
      IS("max-forwards", N_MAX_FORWARDS);
      break;
    case 13:
      IS("content-range", N_CONTENT_RANGE);
      break;
    case 14:
      IS("content-length", N_CONTENT_LENGTH);
      break;
    case 16:
      IS("content-location", N_CONTENT_LOCATION);
      IS("content-encoding", N_CONTENT_ENCODING);
      break;
    case 17:
      IS("transfer-encoding", N_TRANSFER_ENCODING);
      break;
    case 18:
      IS("sec-websocket-key1", N_SEC_WEBSOCKET_KEY1);
      break;
  }
#undef IS
  return N_OTHER;
}

/* ---- arena --------------------------------------------------------------- */

/* Moves the arena into memory of the parser's own with room for size bytes. */
static int own_arena(hcp_parser *p, uint32_t size) {
  uint32_t capacity = p->own ? p->capacity : 1024;
  char *own;
  while (capacity < size) capacity *= 2;
  own = realloc(p->own, capacity);
  if (own == NULL) return fail(p, HCP_E_MEMORY, size);
  if (p->own == NULL) memcpy(own, p->arena, p->arena_size);
  p->own = p->arena = own;
  p->capacity = capacity;
  return 0;
}

static int put(hcp_parser *p, const char *at, size_t n) {
  uint64_t size = (uint64_t)p->arena_size - p->section_start + n;
  if (size > p->limits.max_head_size) return fail(p, HCP_E_HEAD_TOO_LARGE, size);
  if (p->arena_size + n > p->capacity) {
    int error = own_arena(p, p->arena_size + (uint32_t)n);
    if (error) return error;
  }
  memcpy(p->arena + p->arena_size, at, n);
  p->arena_size += (uint32_t)n;
  return 0;
}

static void use_scratch(hcp_parser *p) {
  free(p->own);
  p->own = NULL;
  p->arena = scratch;
  p->capacity = SCRATCH_SIZE;
  p->arena_size = p->head_size = p->section_start = 0;
}

/* ---- llhttp callbacks: the head ------------------------------------------ */

static int on_message_begin(llhttp_t *parser) {
  hcp_parser *p = parser->data;
  use_scratch(p);
  p->state = HEAD;
  p->line_done = 0;
  p->seen = 0;
  p->fields = 0;
  p->chunk_extension = 0;
  p->transfer_coding = CODING_NONE;
  p->token_end = 0;
  p->blank = 0;
  return 0;
}

static int on_method(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  p->token_end = position(p, at) + n;
  return 0;
}

/* llhttp skips further spaces in the request line; RFC 9112 section 3 has exactly one. */
static int on_url(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  uint64_t size = (uint64_t)p->arena_size + n;
  if (p->arena_size == 0 && position(p, at) != p->token_end + 1)
    return fail(p, HCP_E_REQUEST_LINE_SPACE, 0);
  if (size > p->limits.max_line_size) return fail(p, HCP_E_LINE_TOO_LONG, size);
  p->token_end = position(p, at) + n;
  return put(p, at, n);
}

/* llhttp also speaks RTSP and ICE; we do not, and so not their methods either. */
static int on_protocol(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  static const char name[] = "HTTP";
  uint64_t start = p->role == HCP_ROLE_SERVER ? p->token_end + 1 : p->message_start;
  uint64_t done = position(p, at) - start;
  if (p->role == HCP_ROLE_SERVER && position(p, at) < start)
    return fail(p, HCP_E_REQUEST_LINE_SPACE, 0);
  if (done + n > 4) {
    uint32_t error = done == 0 ? HCP_E_PROTOCOL : HCP_E_REQUEST_LINE_SPACE;
    return fail(p, p->role == HCP_ROLE_SERVER ? error : HCP_E_PROTOCOL, 0);
  }
  if (memcmp(at, name + done, n) != 0)
    return fail(p, done == 0 ? HCP_E_PROTOCOL : HCP_E_REQUEST_LINE_SPACE, 0);
  if (p->role == HCP_ROLE_SERVER && parser->method != HTTP_PRI &&
      hcp_method_name(parser->method) == NULL)
    return fail(p, HCP_E_METHOD_UNKNOWN, 0);
  return 0;
}

/* llhttp takes any octet but CR and LF for part of a reason phrase. */
static int on_status(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  uint64_t size = (uint64_t)p->arena_size + n;
  size_t i;
  for (i = 0; i < n; i++) {
    unsigned char c = (unsigned char)at[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) return fail(p, HPE_INVALID_STATUS, 0);
  }
  if (size > p->limits.max_line_size) return fail(p, HCP_E_LINE_TOO_LONG, size);
  return put(p, at, n);
}

/* Ends the start line's piece of the arena, once. */
static int end_line(hcp_parser *p) {
  if (p->line_done) return 0;
  p->line_done = 1;
  p->field_start = p->arena_size + 1;
  return put(p, "", 1);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  uint64_t size;
  if (p->state == HEAD) {
    int error = end_line(p);
    if (error) return error;
  } else if (p->state == BODY) {
    p->state = TRAILERS;
    p->section_start = p->field_start = p->arena_size;
  }
  size = (uint64_t)p->arena_size - p->field_start + n;
  if (size > p->limits.max_field_size) return fail(p, HCP_E_FIELD_TOO_LARGE, size);
  return put(p, at, n);
}

static int on_header_field_complete(llhttp_t *parser) {
  hcp_parser *p = parser->data;
  p->name_id = name_id(p->arena + p->field_start, p->arena_size - p->field_start);
  p->value_start = p->arena_size + 1;
  return put(p, "", 1);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  /* The NUL behind the name is ours. */
  uint64_t size = (uint64_t)p->arena_size - p->field_start - 1 + n;
  if (size > p->limits.max_field_size) return fail(p, HCP_E_FIELD_TOO_LARGE, size);
  return put(p, at, n);
}

static int note_field(hcp_parser *p) {
  const char *value = p->arena + p->value_start;
  uint32_t size = p->arena_size - p->value_start;
  uint32_t bit = 1u << p->name_id;
  uint32_t singletons = p->role == HCP_ROLE_SERVER ? SINGLETONS : RESPONSE_SINGLETONS;
  if (p->seen & bit & singletons) return fail(p, HCP_E_DUPLICATE, p->field_start);
  p->seen |= bit;
  switch (p->name_id) {
    case N_HOST:
      if (p->role == HCP_ROLE_SERVER && !is_host(value, size))
        return fail(p, HCP_E_HOST_INVALID, 0);
      break;
    case N_EXPECT:
      if (equals_ignoring_case(value, size, "100-continue"))
        p->seen |= 1u << N_EXPECT_CONTINUE;
      break;
    case N_TRANSFER_ENCODING:
      p->transfer_coding =
          equals_ignoring_case(value, size, "chunked") ? CODING_CHUNKED : CODING_OTHER;
      break;
    case N_SEC_WEBSOCKET_KEY1:
      if (p->role == HCP_ROLE_SERVER) return fail(p, HCP_E_HIXIE, 0);
      break;
  }
  return 0;
}

static int on_header_value_complete(llhttp_t *parser) {
  hcp_parser *p = parser->data;
  int error;
  while (p->arena_size > p->value_start &&
         (p->arena[p->arena_size - 1] == ' ' || p->arena[p->arena_size - 1] == '\t'))
    p->arena_size--;
  if (++p->fields > p->limits.max_headers) return fail(p, HCP_E_TOO_MANY_FIELDS, p->fields);
  if (p->state == HEAD && p->name_id != N_OTHER) {
    error = note_field(p);
    if (error) return error;
  }
  error = put(p, "", 1);
  p->field_start = p->arena_size;
  return error;
}

/* The rules of RFC 9112 sections 3.2 and 6.1 that need the whole head. */
static int check_head(hcp_parser *p) {
  const llhttp_t *l = &p->llhttp;
  int http10 = l->http_major == 1 && l->http_minor == 0;
  if (!http10 && !(l->http_major == 1 && l->http_minor == 1))
    return fail(p, HCP_E_VERSION, (uint64_t)l->http_major * 10 + l->http_minor);
  if (p->transfer_coding != CODING_NONE) {
    if (http10) return fail(p, HCP_E_TE_HTTP10, 0);
    /* llhttp does not know HTAB behind "chunked"; two opinions are one too many. */
    if (p->transfer_coding == CODING_OTHER || !(l->flags & F_CHUNKED)) {
      int final = p->role == HCP_ROLE_SERVER && !(l->flags & F_CHUNKED);
      return fail(p, final ? HCP_E_TE_FINAL : HCP_E_TE_UNSUPPORTED, 0);
    }
  }
  if (p->role == HCP_ROLE_CLIENT)
    return l->status_code < 100 ? fail(p, HPE_INVALID_STATUS, 0) : 0;
  if (!http10 && !(p->seen & (1u << N_HOST))) return fail(p, HCP_E_HOST_MISSING, 0);
  if (l->method == HTTP_CONNECT && ((l->flags & F_CHUNKED) || l->content_length > 0))
    return fail(p, HCP_E_CONNECT_BODY, 0);
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  hcp_parser *p = parser->data;
  uint32_t result = p->result | HCP_HEAD, number;
  int has_body = 1, error = end_line(p);
  if (!error) error = check_head(p);
  if (error) return -1;

  if (parser->http_minor == 0) result |= HCP_HTTP10;
  /* "close" wins over "keep-alive" whatever the version (RFC 9112 section 9.3). */
  if (!(parser->flags & F_CONNECTION_CLOSE) &&
      (parser->http_minor == 1 || (parser->flags & F_CONNECTION_KEEP_ALIVE)))
    result |= HCP_KEEP_ALIVE;
  if (parser->flags & F_CHUNKED) result |= HCP_CHUNKED;
  if (parser->flags & F_CONTENT_LENGTH) result |= HCP_HAS_LENGTH;
  if (p->seen & (1u << N_EXPECT)) result |= HCP_EXPECT;
  if (p->seen & (1u << N_EXPECT_CONTINUE)) result |= HCP_EXPECT_CONTINUE;
  if (p->seen & (1u << N_CONTENT_ENCODING)) result |= HCP_CONTENT_ENCODING;
  if (p->seen & (1u << N_SET_COOKIE)) result |= HCP_SET_COOKIE;
  p->content_length = parser->content_length;

  if (p->role == HCP_ROLE_SERVER) {
    number = parser->method;
    if (p->arena[0] == '/' && number != HTTP_CONNECT) result |= HCP_ORIGIN_FORM;
    if (parser->upgrade) result |= HCP_UPGRADE;
    /* The connection stays HTTP until we answer 101 or 2xx; llhttp must not stop. */
    parser->upgrade = 0;
  } else {
    uint32_t status = parser->status_code;
    number = status;
    if (status == 101 || (p->answers == HCP_ANSWERS_CONNECT && status / 100 == 2))
      result |= HCP_UPGRADE;
    if ((result & HCP_UPGRADE) || p->answers == HCP_ANSWERS_HEAD || status < 200 ||
        status == 204 || status == 304)
      has_body = 0;
  }
  p->result = result | (number << HCP_NUMBER_SHIFT);
  p->head_size = p->section_start = p->field_start = p->arena_size;
  p->state = BODY;
  p->in_chunk = 0;
  p->line_carry = 0;
  return has_body ? 0 : 1;
}

/* ---- llhttp callbacks: the body ------------------------------------------ */

static void add_span(hcp_parser *p, uint64_t offset, uint64_t length, int chunk_end) {
  if (p->span_count == 0) {
    p->body_offset = offset;
    p->body_length = length;
    p->result |= HCP_DATA;
  } else {
    p->result |= HCP_MANY_SPANS;
  }
  scratch_spans[p->span_count].offset = offset;
  scratch_spans[p->span_count].length = length;
  scratch_spans[p->span_count].chunk_end = (uint64_t)chunk_end;
  p->span_count++;
}

static int on_body(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  add_span(p, (uint64_t)(at - p->buffer), n, 0);
  return 0;
}

static int on_chunk_extension(llhttp_t *parser, const char *at, size_t n) {
  hcp_parser *p = parser->data;
  uint64_t size = (uint64_t)p->chunk_extension + n;
  (void)at;
  if (size > p->limits.max_chunk_extension_size)
    return fail(p, HCP_E_CHUNK_EXTENSION, size);
  p->chunk_extension = (uint32_t)size;
  return 0;
}

static int on_chunk_header(llhttp_t *parser) {
  hcp_parser *p = parser->data;
  p->in_chunk = 1;
  p->last_chunk = parser->content_length == 0;
  /* Only a pause tells where we are; hcp_feed goes on at once. */
  p->at_chunk_header = 1;
  return HPE_PAUSED;
}

static int on_chunk_complete(llhttp_t *parser) {
  hcp_parser *p = parser->data;
  p->in_chunk = 0;
  if (p->last_chunk) return 0;
  if (p->span_count == 0) {
    add_span(p, 0, 0, 1);
  } else {
    scratch_spans[p->span_count - 1].chunk_end = 1;
  }
  if (p->span_count == 1) p->result |= HCP_CHUNK_END;
  return 0;
}

static int on_message_complete(llhttp_t *parser) {
  hcp_parser *p = parser->data;
  p->result |= HCP_END;
  /* Whether the connection goes on was told with the head, and is not for llhttp to
   * decide: it would take "close" from a trailer or an interim response. */
  parser->flags = (parser->flags & ~F_CONNECTION_CLOSE) | F_CONNECTION_KEEP_ALIVE;
  if (p->state == TRAILERS) p->result |= HCP_TRAILERS;
  p->state = IDLE;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_protocol = on_protocol,
    .on_url = on_url,
    .on_status = on_status,
    .on_method = on_method,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value_complete = on_header_value_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
};

/* ---- the calls ----------------------------------------------------------- */

hcp_parser *hcp_new(int role, const hcp_limits *limits) {
  hcp_parser *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  p->role = (uint8_t)role;
  p->limits = *limits;
  llhttp_init(&p->llhttp, role == HCP_ROLE_SERVER ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
  p->llhttp.data = p;
  return p;
}

void hcp_free(hcp_parser *p) {
  if (p == NULL) return;
  free(p->own);
  free(p);
}

void hcp_release(hcp_parser *p) {
  free(p->own);
  p->own = NULL;
  p->arena = NULL;
  p->capacity = 0;
  p->arena_size = p->head_size = p->section_start = 0;
}

/* llhttp stops at the first octet that no method of its list has there. Whether the
 * sender wrote an unknown method (501) or no token at all (400) is in what follows. */
static uint32_t method_error(const hcp_parser *p, const char *at, const char *end) {
  if (position(p, at) == p->message_start) {
    if (at < end && *at == 0x16) return HCP_E_TLS;
    if (at < end && *at == ' ') return HCP_E_METHOD_TOKEN;
  }
  for (; at < end && *at != ' '; at++)
    if (!is_token_char((unsigned char)*at)) return HCP_E_METHOD_TOKEN;
  return HCP_E_METHOD_UNKNOWN;
}

static uint32_t failed(hcp_parser *p, const char *end) {
  const char *at = llhttp_get_error_pos(&p->llhttp);
  llhttp_errno_t code = llhttp_get_errno(&p->llhttp);
  if (p->error == 0) {
    p->error = (uint32_t)code;
    p->reason = llhttp_get_error_reason(&p->llhttp);
    if (code == HPE_INVALID_METHOD && at != NULL && p->role == HCP_ROLE_SERVER)
      p->error = method_error(p, at, end);
    else if (code == HPE_PAUSED_H2_UPGRADE)
      p->error = HCP_E_VERSION;
  }
  if (at != NULL && at >= p->data && at <= end) p->error_offset = (uint64_t)(at - p->buffer);
  p->head = p->arena;
  p->result |= HCP_ERROR;
  return p->result;
}

/* llhttp skips empty lines before a message (RFC 9112 section 2.2) without end, and
 * any mixture of CR and LF for one. */
static int skip_blank(hcp_parser *p, const char *data, size_t size) {
  size_t i;
  for (i = 0; i < size && (data[i] == '\r' || data[i] == '\n'); i++) {
    if ((data[i] == '\n') != p->blank_cr) return fail(p, HPE_CR_EXPECTED, 0);
    p->blank_cr = data[i] == '\r';
  }
  if (i < size && p->blank_cr) return fail(p, HPE_LF_EXPECTED, 0);
  p->blank += i;
  p->message_start = p->base + i;
  if (p->blank > p->limits.max_line_size) return fail(p, HCP_E_BLANK_LINES, p->blank);
  return 0;
}

/* Octets between the last LF of [data, end), or data, and end. What is before a chunk
 * line always ends with LF, and the line itself has none, so this finds its beginning
 * without looking at more than the line. */
static uint64_t line_tail(const char *data, const char *end, int *complete) {
  const char *at = end;
  while (at > data && at[-1] != '\n') at--;
  *complete = at > data;
  return (uint64_t)(end - at);
}

/* Bounds a chunk-size line, CRLF not counted, of which the octets before end were
 * read. Leading zeros of a chunk size have no callback of their own. */
static int check_chunk_line(hcp_parser *p, const char *end, uint64_t line_end) {
  int complete;
  uint64_t size = line_tail(p->data, end, &complete);
  p->line_carry = complete ? size : p->line_carry + size;
  if (p->line_carry > (uint64_t)p->limits.max_line_size + line_end)
    return fail(p, HCP_E_LINE_TOO_LONG, p->line_carry - line_end);
  return 0;
}

uint32_t hcp_feed(hcp_parser *p, const char *data, size_t offset, size_t size) {
  const char *end = data + size, *at = data + offset;
  llhttp_errno_t code;

  if (p->error) return HCP_ERROR;
  p->result = 0;
  p->span_count = 0;
  p->spans = scratch_spans;
  p->reason = NULL;
  p->buffer = data;
  p->data = at;
  if (p->own == NULL && p->state != HEAD && p->state != TRAILERS) use_scratch(p);
  if (p->state == IDLE && skip_blank(p, at, size - offset)) return failed(p, end);

  for (;;) {
    if (llhttp_get_errno(&p->llhttp) == HPE_PAUSED) llhttp_resume(&p->llhttp);
    code = llhttp_execute(&p->llhttp, at, (size_t)(end - at));
    if (code != HPE_PAUSED || !p->at_chunk_header) break;
    p->at_chunk_header = 0;
    at = llhttp_get_error_pos(&p->llhttp);
    /* Before the LF: with it the tail would be empty. Only CR remains to be left out. */
    if (check_chunk_line(p, at - 1, 1)) return failed(p, end);
    p->line_carry = 0;
    /* Two more spans may come before the next chunk header: data and its end. */
    if (at == end || p->span_count + 2 > MAX_SPANS) break;
  }
  if (code == HPE_PAUSED) {
    const char *stop = llhttp_get_error_pos(&p->llhttp);
    p->consumed = (uint64_t)(stop - data);
    p->base += (uint64_t)(stop - p->data);
    if (stop != end) p->result |= HCP_REST;
  } else if (code != HPE_OK) {
    return failed(p, end);
  } else {
    if (p->state == BODY && p->transfer_coding == CODING_CHUNKED && !p->in_chunk &&
        check_chunk_line(p, end, end > p->data && end[-1] == '\r'))
      return failed(p, end);
    p->base += (uint64_t)(end - p->data);
    p->consumed = size;
  }
  if ((p->state == HEAD || p->state == TRAILERS) && p->own == NULL && p->arena_size > 0 &&
      own_arena(p, p->arena_size))
    return failed(p, end);
  if (p->own != NULL && p->state != HEAD && p->state != TRAILERS) p->result |= HCP_OWN_ARENA;
  p->head = p->arena;
  return p->result;
}

uint32_t hcp_finish(hcp_parser *p) {
  if (p->error) return HCP_ERROR;
  p->result = 0;
  p->span_count = 0;
  p->data = NULL;
  if (p->state == IDLE) return 0;
  if (p->state != HEAD && llhttp_message_needs_eof(&p->llhttp) &&
      llhttp_finish(&p->llhttp) == HPE_PAUSED)
    return p->result;
  if (p->state == HEAD)
    fail(p, HCP_E_TRUNCATED_HEAD, 0);
  else if (p->transfer_coding == CODING_CHUNKED)
    fail(p, HCP_E_TRUNCATED_CHUNKED, 0);
  else
    fail(p, HCP_E_TRUNCATED_LENGTH, p->llhttp.content_length);
  return HCP_ERROR;
}

const char *hcp_method_name(uint32_t number) {
#define METHOD(NUM, NAME, STRING) \
  if (number == NUM) return #STRING;
  HTTP_METHOD_MAP(METHOD)
#undef METHOD
  return NULL;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *hcp_package_version(void) { return HCP_VERSION; }

const char *hcp_llhttp_version(void) {
  return TEXT(LLHTTP_VERSION_MAJOR) "." TEXT(LLHTTP_VERSION_MINOR) "." TEXT(LLHTTP_VERSION_PATCH);
}
