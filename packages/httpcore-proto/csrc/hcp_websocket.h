/* The octets of WebSocket (RFC 6455 section 5) that Python sees: frames are found,
 * judged, unmasked, joined to messages and checked for UTF-8 in one pass.
 *
 * One call, hcp_ws_feed, takes one read. Every rule that a frame's head can break is
 * enforced here, before a byte of its payload is kept: reserved bits, opcodes, the
 * shortest length, masking, fragmentation, size. What payloads mean (close codes,
 * compression, text) is Python's. No Python object or function is known here; no state is
 * outside hcp_ws but scratch memory of each thread.
 */
#ifndef HCP_WEBSOCKET_H
#define HCP_WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>

/* What one hcp_ws_feed found: bits of its return value. Without HCP_WS_MANY the lowest
 * seven are the kind of the only item (0: there is none), and its length stands above
 * HCP_WS_LENGTH_SHIFT. A kind is an opcode and three bits: */
#define HCP_WS_OPCODE 0x0Fu
#define HCP_WS_COMPRESSED (1u << 4) /* the message had RSV1 */
#define HCP_WS_STREAM (1u << 5)     /* a piece of a message, not all of it */
#define HCP_WS_LAST (1u << 6)       /* ... the last one */
/* Facts about the call: */
#define HCP_WS_MANY (1u << 8)       /* items, count */
#define HCP_WS_ERROR (1u << 9)      /* behind the items: error, error_value; nothing follows */
#define HCP_WS_REST (1u << 10)      /* consumed < size: feed the rest again */
#define HCP_WS_OWN (1u << 11)       /* call hcp_ws_release once the payloads are copied */
#define HCP_WS_LENGTH_SHIFT 16

/* An only item of up to this many octets is in `small` too: there Python reads it without
 * asking for a pointer first. */
#define HCP_WS_SMALL 128

#define HCP_WS_E_RSV 1
#define HCP_WS_E_OPCODE 2
#define HCP_WS_E_CONTROL_FRAGMENTED 3
#define HCP_WS_E_CONTROL_SIZE 4
#define HCP_WS_E_CONTINUATION 5     /* of nothing */
#define HCP_WS_E_INTERLEAVED 6      /* a new message within a message */
#define HCP_WS_E_UNMASKED 7
#define HCP_WS_E_MASKED 8
#define HCP_WS_E_LENGTH 9           /* not the shortest form, or above 63 bits */
#define HCP_WS_E_UTF8 10
#define HCP_WS_E_SIZE 11            /* error_value: the size, as far as announced */
#define HCP_WS_E_FRAGMENTS 12       /* error_value: their number */
#define HCP_WS_E_MEMORY 13

/* Most items of one call; the rest of the input waits for the next. */
#define HCP_WS_ITEMS 64

/* A message, a piece of one, or a control frame. The offset counts from `control` for
 * opcodes above 7, else from `payload`. */
typedef struct {
  uint64_t offset;
  uint64_t length;
  uint64_t kind;
} hcp_ws_item;

typedef struct {
  /* Results of the last hcp_ws_feed. */
  const char *payload;
  uint64_t payload_size;    /* of all items together */
  const char *control;
  uint64_t control_size;
  const hcp_ws_item *items;
  uint32_t count;
  uint32_t error;
  uint64_t error_value;
  uint64_t consumed;
  uint8_t streaming;        /* written by the caller: do not join the next messages */
  char small[HCP_WS_SMALL];

  /* The rest is private. */
  uint64_t max_size;
  uint32_t max_fragments;
  uint8_t expect_mask;
  uint8_t allow_compressed;
  uint8_t dead;             /* after a close frame or an error: input is discarded */
  /* The frame under way. */
  uint8_t head[14];
  uint8_t head_size;        /* octets of a head that is not complete */
  uint8_t in_frame;
  uint8_t opcode;
  uint8_t fin;
  uint8_t control_have;
  uint8_t partial[125];     /* a control frame that is not complete */
  uint8_t key[4];
  uint64_t position;        /* within the frame's payload */
  uint64_t remaining;
  /* The message under way. */
  uint8_t message;          /* its opcode, 0 between messages */
  uint8_t compressed;
  uint8_t streamed;
  uint8_t check_text;
  uint32_t utf8;
  uint32_t fragments;
  uint64_t message_size;
  /* Where payloads are put: scratch of this thread, or own. */
  char *out;
  char *own;
  size_t capacity;
  size_t fill;
  size_t message_start;
} hcp_ws;

/* Returns a scanner, or NULL without memory; release it with hcp_ws_free.
 * expect_mask: frames must be masked (1) or must not be (0). allow_compressed: RSV1 may
 * stand on data frames. max_size: octets of a message. */
hcp_ws *hcp_ws_new(int expect_mask, int allow_compressed, uint64_t max_size,
                   uint32_t max_fragments);
void hcp_ws_free(hcp_ws *ws);

/* Scans data[offset:size]; returns bits as above. Keeps no pointer into data. Payloads
 * and items are valid until the next call on this thread; copy them at once. */
uint64_t hcp_ws_feed(hcp_ws *ws, const char *data, size_t offset, size_t size);

/* Gives back the memory of a message that came in several reads. */
void hcp_ws_release(hcp_ws *ws);

/* dest[i] = src[i] ^ key[(i + phase) % 4]; dest may be src, they may not overlap otherwise. */
void hcp_mask(char *dest, const char *src, size_t size, const char *key, size_t phase);

/* The largest frame, head included, that hcp_ws_frame makes. */
#define HCP_WS_FRAME_MAX 65536

/* Returns a masked frame in scratch memory of this thread, valid until the next call, or
 * NULL if it would be larger than HCP_WS_FRAME_MAX. first: FIN, RSV bits and opcode. */
const char *hcp_ws_frame(uint32_t first, const char *key, const char *payload, size_t size);

/* Goes on checking UTF-8 (RFC 3629) from a state that an earlier call returned: 0
 * between characters, HCP_UTF8_INVALID after an error, else within a character. */
#define HCP_UTF8_INVALID 0xFFFFFFFFu
uint32_t hcp_utf8(uint32_t state, const char *data, size_t size);

#endif
