/* The HTTP/1.1 parser that Python sees: llhttp plus the rules of RFC 9110 and
 * RFC 9112 that llhttp leaves to its user.
 *
 * One call, hcp_feed, takes one read. llhttp's callbacks stay on this side: they
 * pack the head into an arena, note facts in bits, keep body bytes as spans into
 * the caller's buffer, and enforce every limit. No Python object and no Python
 * function is known here, and there is no state outside hcp_parser but per-thread
 * scratch memory, so parsers of different threads never meet.
 *
 * The packed head is the request target (or the reason phrase), then name and
 * value of each field, every piece followed by a NUL. llhttp refuses NUL in all of
 * them, so the separator cannot be forged, and Python splits a head in one call.
 */
#ifndef HCP_PARSER_H
#define HCP_PARSER_H

#include <stddef.h>
#include <stdint.h>

#include "llhttp.h"

/* What one hcp_feed found; bits of its return value. The facts from KEEP_ALIVE to
 * SET_COOKIE and the number above HCP_NUMBER_SHIFT hold only together with HCP_HEAD. */
#define HCP_HEAD (1u << 0)      /* a head is complete: head, head_size, content_length */
#define HCP_DATA (1u << 1)      /* body bytes: body_offset and body_length, or spans */
#define HCP_END (1u << 2)       /* the message is complete; the parser waits */
#define HCP_ERROR (1u << 3)     /* error, reason, error_offset; the parser is dead */
#define HCP_TRAILERS (1u << 4)  /* trailer fields lie behind the head in the arena */
#define HCP_REST (1u << 5)      /* consumed < size: feed the rest again */
#define HCP_KEEP_ALIVE (1u << 6)
#define HCP_CHUNKED (1u << 7)
#define HCP_HAS_LENGTH (1u << 8)
#define HCP_UPGRADE (1u << 9)
#define HCP_EXPECT (1u << 10)
#define HCP_EXPECT_CONTINUE (1u << 11)
#define HCP_HTTP10 (1u << 12)
#define HCP_ORIGIN_FORM (1u << 13)
#define HCP_CONTENT_ENCODING (1u << 14)
#define HCP_SET_COOKIE (1u << 15)
#define HCP_NUMBER_SHIFT 16     /* method number or status code, 10 bits */
#define HCP_MANY_SPANS (1u << 26)
#define HCP_CHUNK_END (1u << 27) /* the only span ends an HTTP chunk */
#define HCP_OWN_ARENA (1u << 28) /* call hcp_release once the arena is copied */

/* Our own errors; smaller numbers are llhttp's. */
#define HCP_E_LINE_TOO_LONG 100
#define HCP_E_FIELD_TOO_LARGE 101
#define HCP_E_TOO_MANY_FIELDS 102
#define HCP_E_HEAD_TOO_LARGE 103
#define HCP_E_CHUNK_EXTENSION 104
#define HCP_E_BLANK_LINES 105
#define HCP_E_REQUEST_LINE_SPACE 106
#define HCP_E_PROTOCOL 107
#define HCP_E_VERSION 108
#define HCP_E_METHOD_UNKNOWN 109
#define HCP_E_METHOD_TOKEN 110
#define HCP_E_TLS 111
#define HCP_E_HOST_MISSING 112
#define HCP_E_HOST_INVALID 113
#define HCP_E_DUPLICATE 114
#define HCP_E_TE_HTTP10 115
#define HCP_E_TE_FINAL 116
#define HCP_E_TE_UNSUPPORTED 117
#define HCP_E_CONNECT_BODY 118
#define HCP_E_HIXIE 119
#define HCP_E_TRUNCATED_HEAD 120
#define HCP_E_TRUNCATED_LENGTH 121
#define HCP_E_TRUNCATED_CHUNKED 122
#define HCP_E_MEMORY 123

#define HCP_ROLE_SERVER 0 /* parses requests */
#define HCP_ROLE_CLIENT 1 /* parses responses */

/* hcp_parser.answers: the request method that the next response answers, where it
 * decides about the body (RFC 9112 section 6.3). */
#define HCP_ANSWERS_HEAD 1
#define HCP_ANSWERS_CONNECT 2

/* A piece of body in the buffer of the last hcp_feed. */
typedef struct {
  uint64_t offset;
  uint64_t length;
  uint64_t chunk_end; /* 1 when an HTTP chunk ends behind it */
} hcp_span;

/* Sizes in bytes, counts in fields; none is optional. */
typedef struct {
  uint32_t max_line_size;  /* target or reason phrase; a chunk-size line */
  uint32_t max_field_size; /* name and value of one field */
  uint32_t max_headers;    /* fields of a head and its trailers together */
  uint32_t max_head_size;  /* all of a head, or of a trailer section */
  uint32_t max_chunk_extension_size; /* all chunk extensions of a message */
} hcp_limits;

typedef struct {
  /* Results of the last hcp_feed or hcp_finish. */
  const char *head;        /* the arena: packed head, then packed trailers */
  uint32_t head_size;
  uint32_t arena_size;
  uint64_t consumed;
  uint64_t content_length;
  uint64_t body_offset;
  uint64_t body_length;
  const hcp_span *spans;
  uint32_t span_count;
  uint32_t error;
  const char *reason;      /* static text or NULL */
  uint64_t error_offset;   /* into the buffer of the last hcp_feed */
  uint64_t error_value;    /* the size or count that broke a limit */
  uint8_t answers;         /* written by the caller before a response */

  /* The rest is private. */
  llhttp_t llhttp;
  hcp_limits limits;
  char *arena;             /* scratch of this thread, or own */
  char *own;
  uint32_t capacity;
  uint32_t result;
  uint8_t role;
  uint8_t state;
  uint8_t line_done;
  uint8_t name_id;
  uint8_t in_chunk;
  uint8_t transfer_coding;
  uint8_t last_chunk;
  uint8_t at_chunk_header;
  uint32_t seen;
  uint32_t field_start;
  uint32_t value_start;
  uint32_t fields;
  uint32_t chunk_extension;
  uint64_t line_carry;     /* octets of an unfinished chunk-size line in earlier reads */
  uint32_t section_start;
  uint64_t blank;
  uint8_t blank_cr;
  const char *buffer;
  const char *data;
  uint64_t base;
  uint64_t message_start;
  uint64_t token_end;
} hcp_parser;

/* Returns a parser for requests (HCP_ROLE_SERVER) or responses, or NULL without
 * memory. Copies the limits. Release it with hcp_free. */
hcp_parser *hcp_new(int role, const hcp_limits *limits);
void hcp_free(hcp_parser *parser);

/* Parses data[offset:size] up to the end of one message; returns result bits.
 * The buffer stays the caller's: spans point into it, nothing else does. The arena
 * (head, arena_size) is valid until the next call on this thread; copy it at once.
 * After HCP_END the next call starts the next message. After HCP_ERROR every call
 * returns HCP_ERROR again. */
uint32_t hcp_feed(hcp_parser *parser, const char *data, size_t offset, size_t size);

/* The peer sends nothing more: HCP_END if that ends a message (a close-delimited
 * body), HCP_ERROR if it cuts one, 0 between messages. */
uint32_t hcp_finish(hcp_parser *parser);

/* Gives back the arena of a head that came in several reads. */
void hcp_release(hcp_parser *parser);

/* Name of the method with llhttp's number, or NULL; static text. */
const char *hcp_method_name(uint32_t number);
const char *hcp_package_version(void); /* of the package this was compiled for */
const char *hcp_llhttp_version(void);

#endif
