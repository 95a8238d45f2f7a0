#include "hcp_websocket.h"

#include <stdlib.h>
#include <string.h>

#if defined(_MSC_VER)
#define HCP_THREAD_LOCAL __declspec(thread)
#else
#define HCP_THREAD_LOCAL _Thread_local
#endif

/* What arrives whole in one read never leaves this scratch memory, so that an idle
 * connection owns none. */
#define SCRATCH_SIZE 65536u
#define MAX_CONTROL 125u
/* Memory for a message that does not end in its first read: at most this much at once,
 * since nobody has sent yet what its frame announces. */
#define FIRST_OWN 262144u

static HCP_THREAD_LOCAL char scratch[SCRATCH_SIZE];
static HCP_THREAD_LOCAL char scratch_control[HCP_WS_ITEMS * MAX_CONTROL];
static HCP_THREAD_LOCAL hcp_ws_item scratch_items[HCP_WS_ITEMS];
static HCP_THREAD_LOCAL char scratch_frame[HCP_WS_FRAME_MAX];

/* One control frame in a streamed message yields two items, and the end of the input one. */
#define STOP_AT (HCP_WS_ITEMS - 2)

static int fail(hcp_ws *ws, uint32_t error, uint64_t value) {
  ws->error = error;
  ws->error_value = value;
  ws->dead = 1;
  return -1;
}

/* ---- octets -------------------------------------------------------------- */

void hcp_mask(char *dest, const char *src, size_t size, const char *key, size_t phase) {
  unsigned char k[8];
  uint64_t mask, a, b, c, d;
  size_t i;
  for (i = 0; i < 8; i++) k[i] = (unsigned char)key[(i + phase) % 4];
  memcpy(&mask, k, 8);
  /* memcpy for loads and stores: any alignment, and compilers make one instruction of it. */
  for (; size >= 32; size -= 32, src += 32, dest += 32) {
    memcpy(&a, src, 8);
    memcpy(&b, src + 8, 8);
    memcpy(&c, src + 16, 8);
    memcpy(&d, src + 24, 8);
    a ^= mask;
    b ^= mask;
    c ^= mask;
    d ^= mask;
    memcpy(dest, &a, 8);
    memcpy(dest + 8, &b, 8);
    memcpy(dest + 16, &c, 8);
    memcpy(dest + 24, &d, 8);
  }
  for (; size >= 8; size -= 8, src += 8, dest += 8) {
    memcpy(&a, src, 8);
    a ^= mask;
    memcpy(dest, &a, 8);
  }
  for (i = 0; i < size; i++) dest[i] = (char)((unsigned char)src[i] ^ k[i]);
}

/* A state within a character: octets still due, then lower and upper bound of the next. */
#define DUE(need, low, high) ((uint32_t)(need) | (uint32_t)(low) << 8 | (uint32_t)(high) << 16)
#define HIGH_BITS 0x8080808080808080u

uint32_t hcp_utf8(uint32_t state, const char *data, size_t size) {
  const unsigned char *p = (const unsigned char *)data;
  const unsigned char *end = p + size;
  if (state == HCP_UTF8_INVALID) return state;
  while (p < end) {
    unsigned char c = *p;
    if (state != 0) {
      if (c < (state >> 8 & 0xFF) || c > (state >> 16 & 0xFF)) return HCP_UTF8_INVALID;
      state = (state & 0xFF) > 1 ? DUE((state & 0xFF) - 1, 0x80, 0xBF) : 0;
      p++;
    } else if (c < 0x80) {
      uint64_t word, next;
      p++;
      while (end - p >= 16) {
        memcpy(&word, p, 8);
        memcpy(&next, p + 8, 8);
        if ((word | next) & HIGH_BITS) break;
        p += 16;
      }
      while (p < end && *p < 0x80) p++;
    } else {
      /* RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
      if (c < 0xC2 || c > 0xF4) return HCP_UTF8_INVALID;
      if (c < 0xE0) {
        state = DUE(1, 0x80, 0xBF);
      } else if (c < 0xF0) {
        state = DUE(2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF);
      } else {
        state = DUE(3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF);
      }
      p++;
    }
  }
  return state;
}

/* ---- memory -------------------------------------------------------------- */

hcp_ws *hcp_ws_new(int expect_mask, int allow_compressed, uint64_t max_size,
                   uint32_t max_fragments) {
  hcp_ws *ws = calloc(1, sizeof(hcp_ws));
  if (ws == NULL) return NULL;
  ws->expect_mask = expect_mask != 0;
  ws->allow_compressed = allow_compressed != 0;
  ws->max_size = max_size;
  ws->max_fragments = max_fragments;
  return ws;
}

void hcp_ws_free(hcp_ws *ws) {
  if (ws == NULL) return;
  free(ws->own);
  free(ws);
}

void hcp_ws_release(hcp_ws *ws) {
  /* A message under way stays. */
  if (ws->fill > ws->message_start) return;
  free(ws->own);
  ws->own = NULL;
  ws->fill = ws->message_start = 0;
}

/* Moves the payloads into memory of the scanner's own, of the size asked for at least. */
static int grow(hcp_ws *ws, uint64_t needed) {
  uint64_t expected = needed + (ws->in_frame ? ws->remaining : 0);
  uint64_t capacity = expected < FIRST_OWN ? expected : FIRST_OWN;
  char *own;
  if (ws->own != NULL && capacity < 2 * (uint64_t)ws->capacity) {
    capacity = 2 * (uint64_t)ws->capacity;
  }
  if (capacity < needed) capacity = needed;
  if (capacity > SIZE_MAX) return fail(ws, HCP_WS_E_MEMORY, capacity);
  own = realloc(ws->own, (size_t)capacity);
  if (own == NULL) return fail(ws, HCP_WS_E_MEMORY, capacity);
  if (ws->own == NULL) memcpy(own, scratch, ws->fill);
  ws->own = ws->out = own;
  ws->capacity = (size_t)capacity;
  return 0;
}

/* ---- frames -------------------------------------------------------------- */

/* Octets of a head, as far as the first n tell. */
static size_t head_length(const uint8_t *h, size_t n) {
  size_t length = 2;
  if (n < 2) return length;
  if ((h[1] & 0x7F) == 126) length += 2;
  if ((h[1] & 0x7F) == 127) length += 8;
  return length + (h[1] & 0x80 ? 4 : 0);
}

/* RFC 6455 sections 5.1, 5.2, 5.4 and 5.5, RFC 7692 section 6: what two octets show. */
static int check_head(hcp_ws *ws, const uint8_t *h) {
  uint8_t opcode = h[0] & 0x0F;
  uint8_t rsv = h[0] & 0x70;
  uint8_t is_control = opcode & 0x08;
  int masked = (h[1] & 0x80) != 0;
  if ((opcode > 2 && !is_control) || opcode > 10) return fail(ws, HCP_WS_E_OPCODE, opcode);
  if (rsv && !(rsv == 0x40 && ws->allow_compressed && (opcode == 1 || opcode == 2))) {
    return fail(ws, HCP_WS_E_RSV, rsv >> 4);
  }
  if (is_control) {
    if (!(h[0] & 0x80)) return fail(ws, HCP_WS_E_CONTROL_FRAGMENTED, opcode);
    if ((h[1] & 0x7F) > MAX_CONTROL) return fail(ws, HCP_WS_E_CONTROL_SIZE, h[1] & 0x7F);
  } else if (opcode == 0 && !ws->message) {
    return fail(ws, HCP_WS_E_CONTINUATION, 0);
  } else if (opcode != 0 && ws->message) {
    return fail(ws, HCP_WS_E_INTERLEAVED, opcode);
  }
  if (masked != ws->expect_mask) {
    return fail(ws, masked ? HCP_WS_E_MASKED : HCP_WS_E_UNMASKED, opcode);
  }
  return 0;
}

/* The payload's length, from a whole head. */
static uint64_t payload_length(const uint8_t *h) {
  size_t octets = (h[1] & 0x7F) == 126 ? 2 : 8;
  uint64_t length = 0;
  size_t i;
  if ((h[1] & 0x7F) < 126) return h[1] & 0x7F;
  for (i = 0; i < octets; i++) length = length << 8 | h[2 + i];
  return length;
}

static int begin_frame(hcp_ws *ws, const uint8_t *h) {
  uint64_t length = payload_length(h);
  uint64_t size;
  if (((h[1] & 0x7F) == 126 && length < 126) || ((h[1] & 0x7F) == 127 && length < 65536) ||
      length >> 63) {
    return fail(ws, HCP_WS_E_LENGTH, length);
  }
  if (h[1] & 0x80) {
    memcpy(ws->key, h + head_length(h, 2) - 4, 4);
  } else {
    memset(ws->key, 0, 4);
  }
  ws->opcode = h[0] & 0x0F;
  ws->fin = h[0] >> 7;
  ws->in_frame = 1;
  ws->position = 0;
  ws->remaining = length;
  if (ws->opcode & 0x08) {
    ws->control_have = 0;
    return 0;
  }
  if (!ws->message) {
    ws->message = ws->opcode;
    ws->compressed = (h[0] & 0x40) != 0;
    ws->streamed = ws->streaming;
    ws->check_text = ws->opcode == 1 && !ws->compressed && !ws->streamed;
    ws->utf8 = 0;
    ws->fragments = 0;
    ws->message_size = 0;
  }
  if (++ws->fragments > ws->max_fragments) {
    return fail(ws, HCP_WS_E_FRAGMENTS, ws->fragments);
  }
  size = ws->max_size;
  /* What cannot be compressed grows by it, a little: the exact rule comes after inflation. */
  if (ws->compressed && size < UINT64_MAX / 2) size += size / 1024 + 1024;
  if (length > size || ws->message_size > size - length) {
    return fail(ws, HCP_WS_E_SIZE, ws->message_size + length);
  }
  ws->message_size += length;
  return 0;
}

static void put_item(hcp_ws *ws, uint64_t offset, uint64_t length, uint32_t kind) {
  hcp_ws_item *item = &scratch_items[ws->count++];
  item->offset = offset;
  item->length = length;
  item->kind = kind;
}

/* What there is of a streamed message, or all of another. */
static void put_data(hcp_ws *ws, int last) {
  uint32_t kind = ws->message;
  if (ws->compressed) kind |= HCP_WS_COMPRESSED;
  if (ws->streamed) kind |= last ? HCP_WS_STREAM | HCP_WS_LAST : HCP_WS_STREAM;
  put_item(ws, ws->message_start, ws->fill - ws->message_start, kind);
  ws->message_start = ws->fill;
}

static int take_data(hcp_ws *ws, const char *p, size_t n) {
  if (n > 0) {
    int whole = ws->fin && ws->opcode != 0 && n == ws->remaining && ws->position == 0;
    uint64_t needed = (uint64_t)ws->fill + n;
    ws->remaining -= n;
    /* What must outlive this read is not written to the scratch memory first. */
    if (needed > ws->capacity || (ws->own == NULL && ws->remaining && !ws->streamed)) {
      if (grow(ws, needed)) return -1;
    }
    if (ws->expect_mask) {
      hcp_mask(ws->out + ws->fill, p, n, (const char *)ws->key, ws->position % 4);
    } else {
      memcpy(ws->out + ws->fill, p, n);
    }
    /* Text that is here at once is checked by the decoder that Python needs anyway. */
    if (ws->check_text && !whole) {
      ws->utf8 = hcp_utf8(ws->utf8, ws->out + ws->fill, n);
      if (ws->utf8 == HCP_UTF8_INVALID) return fail(ws, HCP_WS_E_UTF8, 0);
    }
    ws->fill += n;
    ws->position += n;
  }
  if (ws->remaining == 0) {
    ws->in_frame = 0;
    if (ws->fin) {
      if (ws->check_text && ws->utf8 != 0) return fail(ws, HCP_WS_E_UTF8, 0);
      put_data(ws, 1);
      ws->message = 0;
    }
  }
  return 0;
}

static void take_control(hcp_ws *ws, const char *p, size_t n) {
  char *dest = (char *)ws->partial + ws->control_have;
  hcp_mask(dest, p, n, (const char *)ws->key, ws->position % 4);
  ws->control_have += (uint8_t)n;
  ws->position += n;
  ws->remaining -= n;
  if (ws->remaining > 0) return;
  ws->in_frame = 0;
  if (ws->streamed && ws->message && ws->fill > ws->message_start) put_data(ws, 0);
  memcpy(scratch_control + ws->control_size, ws->partial, ws->control_have);
  put_item(ws, ws->control_size, ws->control_have, ws->opcode);
  ws->control_size += ws->control_have;
  if (ws->opcode == 8) ws->dead = 1;
}

/* Reads a head at p. Returns its size; 0 if it must wait for room; -1 after an error.
 * Without a whole head all of the input is used, and in_frame stays 0. */
static int take_head(hcp_ws *ws, const uint8_t *p, size_t n) {
  if (ws->head_size == 0 && n >= 2) {
    size_t needed = head_length(p, n);
    if (check_head(ws, p)) return -1;
    if (n >= needed) {
      /* A large message behind others begins the next call, rather than be moved. */
      if (ws->count > 0 && !ws->message && (p[1] & 0x7F) > MAX_CONTROL) {
        uint64_t length = payload_length(p);
        size_t here = length < n - needed ? (size_t)length : n - needed;
        if (here > ws->capacity - ws->fill) return 0;
      }
      return begin_frame(ws, p) ? -1 : (int)needed;
    }
    memcpy(ws->head, p, n);
    ws->head_size = (uint8_t)n;
    return (int)n;
  } else {
    size_t used = 0;
    while (used < n) {
      ws->head[ws->head_size++] = p[used++];
      if (ws->head_size == 2 && check_head(ws, ws->head)) return -1;
      if (ws->head_size >= 2 && ws->head_size == head_length(ws->head, 2)) {
        ws->head_size = 0;
        return begin_frame(ws, ws->head) ? -1 : (int)used;
      }
    }
    return (int)used;
  }
}

static const char *scan(hcp_ws *ws, const char *p, const char *end) {
  for (;;) {
    size_t n;
    if (!ws->in_frame) {
      int used;
      if (p == end || ws->count >= STOP_AT) return p;
      n = (size_t)(end - p);
      used = take_head(ws, (const uint8_t *)p, n);
      if (used < 0) return end;
      if (used == 0) return p;
      p += used;
      if (!ws->in_frame) return p;
    }
    n = (size_t)(end - p);
    if (n == 0 && ws->remaining > 0) return p;
    if (n > ws->remaining) n = (size_t)ws->remaining;
    if (ws->opcode & 0x08) {
      take_control(ws, p, n);
      p += n;
    } else {
      if (take_data(ws, p, n)) return end;
      p += n;
    }
    if (ws->dead) return end;
  }
}

uint64_t hcp_ws_feed(hcp_ws *ws, const char *data, size_t offset, size_t size) {
  const char *end;
  uint64_t facts = 0;
  ws->count = 0;
  ws->error = 0;
  ws->control_size = 0;
  ws->items = scratch_items;
  ws->control = scratch_control;
  if (ws->dead || offset >= size) {
    ws->consumed = size;
    return 0;
  }
  if (ws->own != NULL) {
    /* Items of the last call lie before the message under way. */
    ws->fill -= ws->message_start;
    if (ws->message_start && ws->fill) memmove(ws->own, ws->own + ws->message_start, ws->fill);
    ws->out = ws->own;
  } else {
    ws->fill = 0;
    ws->out = scratch;
    ws->capacity = SCRATCH_SIZE;
  }
  ws->message_start = 0;
  end = scan(ws, data + offset, data + size);
  ws->consumed = (uint64_t)(end - data);
  if (ws->error) {
    facts |= HCP_WS_ERROR;
    ws->fill = ws->message_start;
  } else if (ws->fill > ws->message_start) {
    if (ws->streamed) {
      put_data(ws, 0);
    } else if (ws->own == NULL && grow(ws, ws->fill)) {
      facts |= HCP_WS_ERROR;
      ws->fill = ws->message_start;
    }
  }
  if (ws->dead) ws->fill = ws->message_start;
  ws->payload = ws->out;
  ws->payload_size = ws->message_start;
  if (ws->consumed < size) facts |= HCP_WS_REST;
  if (ws->own != NULL && (ws->count || ws->dead)) facts |= HCP_WS_OWN;
  if (ws->count == 1) {
    const hcp_ws_item *item = &scratch_items[0];
    facts |= item->kind | item->length << HCP_WS_LENGTH_SHIFT;
    if (item->length <= HCP_WS_SMALL) {
      memcpy(ws->small, item->kind & 0x08 ? ws->control : ws->payload, (size_t)item->length);
    }
  } else if (ws->count > 1) {
    facts |= HCP_WS_MANY;
  }
  return facts;
}

/* ---- frames out ---------------------------------------------------------- */

const char *hcp_ws_frame(uint32_t first, const char *key, const char *payload, size_t size) {
  unsigned char *out = (unsigned char *)scratch_frame;
  size_t at = 2;
  if (size > HCP_WS_FRAME_MAX - 8) return NULL;
  out[0] = (unsigned char)first;
  if (size < 126) {
    out[1] = (unsigned char)(0x80 | size);
  } else {
    out[1] = 0x80 | 126;
    out[2] = (unsigned char)(size >> 8);
    out[3] = (unsigned char)(size & 0xFF);
    at = 4;
  }
  memcpy(out + at, key, 4);
  hcp_mask(scratch_frame + at + 4, payload, size, key, 0);
  return scratch_frame;
}
