/* Steps over a document of Protocol Buffers, and writes it as MessagePack. Included by _records.c. */

#ifndef PYPES_PROTOBUF_H
#define PYPES_PROTOBUF_H

/* What a message of pypes.proto may have: numbers of fields, with the wire type in the three lower bits. */
enum {
    DOCUMENTS = 1 << 3 | 2,
    FIELDS = 1 << 3 | 2, META = 2 << 3 | 2, FIELD_META = 3 << 3 | 2, ID = 4 << 3 | 2, DELETION = 5 << 3,
    KEY = 1 << 3 | 2, VALUE = 2 << 3 | 2,
    BOOLEAN = 1 << 3, INTEGER = 2 << 3, UNSIGNED = 3 << 3, DOUBLE = 4 << 3 | 1, STRING = 5 << 3 | 2, BYTES = 6 << 3 | 2,
    LIST = 7 << 3 | 2, STRUCT = 8 << 3 | 2,
    ITEM = 1 << 3 | 2,
};

static void
put(struct out *out, const void *data, size_t size)
{
    if (out->at == NULL) {
        return;
    }
    if (size > (size_t)(out->end - out->at)) {
        out->is_full = 1;
        return;
    }
    memcpy(out->at, data, size);
    out->at += size;
}

/* A first byte, and a number in so many bytes behind it. */
static void
put_number(struct out *out, unsigned char first, uint64_t value, int bytes)
{
    unsigned char data[9] = {first};
    for (int i = bytes; i > 0; i--, value >>= 8) {
        data[i] = value & 0xFF;
    }
    put(out, data, 1 + bytes);
}

/* The head of a container whose items are counted afterwards; returns where the count goes, NULL if nothing is written. */
static unsigned char *
put_head(struct out *out, unsigned char first)
{
    unsigned char *head = out->at;
    put_number(out, first, 0, 4);
    return out->is_full ? NULL : head;
}

static void
set_count(unsigned char *head, uint32_t count)
{
    if (head != NULL) {
        for (int i = 4; i > 0; i--, count >>= 8) {
            head[i] = count & 0xFF;
        }
    }
}

static void
put_text(struct out *out, unsigned char first, Place at, Place end)
{
    put_number(out, first, end - at, 4);
    put(out, at, end - at);
}

/* A number of one to ten bytes, of seven bits each. */
static Place
over_varint(Place at, Place end, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        uint64_t bits = *at & 0x7F;
        if (shift == 63 && *at > 1) {
            return NULL;
        }
        *value |= bits << shift;
        if (*at++ < 0x80) {
            return at;
        }
    }
    return NULL;
}

/* A length and what it is of, which ends at inner_end. */
static Place
over_length(Place at, Place end, Place *inner_end)
{
    uint64_t length;
    at = over_varint(at, end, &length);
    if (at == NULL || length > (uint64_t)(end - at)) {
        return NULL;
    }
    *inner_end = at + length;
    return at;
}

static int is_value(Place at, Place end, Py_ssize_t levels, struct out *out);

/* An entry of a map: its key, and its value unless that is null. */
static int
is_entry(Place at, Place end, Py_ssize_t levels, struct out *out)
{
    Place inner_end;
    if (at >= end || *at != KEY || (at = over_length(at + 1, end, &inner_end)) == NULL || !is_text(at, inner_end)) {
        return 0;
    }
    put_text(out, 0xDB, at, inner_end);
    at = inner_end;
    if (at == end) {
        put_number(out, 0xC0, 0, 0);
        return 1;
    }
    if (*at != VALUE || (at = over_length(at + 1, end, &inner_end)) == NULL || inner_end != end) {
        return 0;
    }
    return is_value(at, end, levels, out);
}

/* Items of a list, or entries of a map. */
static int
are_items(Place at, Place end, Py_ssize_t levels, int is_map, struct out *out)
{
    unsigned char *head = put_head(out, is_map ? 0xDF : 0xDD);
    uint32_t count = 0;
    if (levels <= 0) {
        return 0;
    }
    for (; at < end; count++) {
        Place inner_end;
        if (*at != ITEM || (at = over_length(at + 1, end, &inner_end)) == NULL) {
            return 0;
        }
        if (!(is_map ? is_entry(at, inner_end, levels - 1, out) : is_value(at, inner_end, levels - 1, out))) {
            return 0;
        }
        at = inner_end;
    }
    set_count(head, count);
    return 1;
}

/* A value, which has one kind, or none: then it is null. */
static int
is_value(Place at, Place end, Py_ssize_t levels, struct out *out)
{
    Place inner_end;
    uint64_t number;
    if (at == end) {
        put_number(out, 0xC0, 0, 0);
        return 1;
    }
    unsigned char kind = *at++;
    switch (kind) {
    case BOOLEAN: case INTEGER: case UNSIGNED:
        if (over_varint(at, end, &number) != end) {
            return 0;
        }
        if (kind == BOOLEAN) {
            put_number(out, number ? 0xC3 : 0xC2, 0, 0);
        }
        else {
            put_number(out, kind == INTEGER ? 0xD3 : 0xCF, number, 8);
        }
        return 1;
    case DOUBLE:
        if (end - at != 8) {
            return 0;
        }
        number = 0;
        for (int i = 8; i > 0; i--) {
            number = number << 8 | at[i - 1];
        }
        put_number(out, 0xCB, number, 8);
        return (number >> 52 & 0x7FF) != 0x7FF;
    case STRING: case BYTES: case LIST: case STRUCT:
        at = over_length(at, end, &inner_end);
        if (at == NULL || inner_end != end || (kind == STRING && !is_text(at, end))) {
            return 0;
        }
        if (kind == STRING || kind == BYTES) {
            put_text(out, kind == STRING ? 0xDB : 0xC6, at, end);
            return 1;
        }
        return are_items(at, end, levels, kind == STRUCT, out);
    default:
        return 0;
    }
}

/* Most names that are looked through in a document for those of its fields which have metadata. */
#define MOST_NAMES 4096

/* The key of an entry that is plain. */
static Place
key_of(Place entry, Place end, Place *key_end)
{
    return over_length(entry + 1, end, key_end);
}

static int
is_same(Place one, Place one_end, const void *other, size_t size)
{
    return (size_t)(one_end - one) == size && memcmp(one, other, size) == 0;
}

/* Metadata of fields, all of which are there, and none of which says how a field is written (``pypes``). */
static Place
over_field_meta(Place at, Place end, Place fields, Place fields_end, Py_ssize_t levels, struct out *out)
{
    Place entry_end, map, map_end, key, key_end, name, name_end;
    unsigned char *head = put_head(out, 0xDF);
    uint32_t count = 0;
    int looked_at = 0;
    for (; at < end && *at == FIELD_META; count++) {
        at = over_length(at + 1, end, &entry_end);
        if (at == NULL || at == entry_end || *at != KEY || (key = over_length(at + 1, entry_end, &key_end)) == NULL
            || key_end == entry_end || *key_end != VALUE || (map = over_length(key_end + 1, entry_end, &map_end)) == NULL
            || map_end != entry_end || map == map_end) {
            return NULL;
        }
        int is_there = 0;
        for (Place entry = fields, inner_end; !is_there && entry < fields_end; entry = inner_end) {
            entry = over_length(entry + 1, fields_end, &inner_end);
            name = key_of(entry, inner_end, &name_end);
            is_there = is_same(name, name_end, key, key_end - key);
            if (++looked_at > MOST_NAMES) {
                return NULL;
            }
        }
        if (!is_there) {
            return NULL;
        }
        put_text(out, 0xDB, key, key_end);
        if (!are_items(map, map_end, levels, 1, out)) {
            return NULL;
        }
        for (Place entry = map, inner_end; entry < map_end; entry = inner_end) {
            entry = over_length(entry + 1, map_end, &inner_end);
            name = key_of(entry, inner_end, &name_end);
            if (is_same(name, name_end, "pypes", 5)) {
                return NULL;
            }
        }
        at = entry_end;
    }
    set_count(head, count);
    return at;
}

static Place
over_entries(Place at, Place end, unsigned char tag, Py_ssize_t levels, struct out *out)
{
    Place inner_end;
    unsigned char *head = put_head(out, 0xDF);
    uint32_t count = 0;
    for (; at < end && *at == tag; count++) {
        at = over_length(at + 1, end, &inner_end);
        if (at == NULL || !is_entry(at, inner_end, levels, out)) {
            return NULL;
        }
        at = inner_end;
    }
    set_count(head, count);
    return at;
}

/* A document: an array of maps, of its fields, its metadata, that of its fields, and the metadata that id and deletion are. */
static int
is_document(Place at, Place end, Py_ssize_t levels, struct out *out)
{
    static const unsigned char id[] = {0xA2, 'i', 'd'}, method[] = {0xAD, 'r', 'e', 'q', 'u', 'e', 's', 't', 'm', 'e', 't', 'h', 'o',
                                                                   'd', 0xA6, 'D', 'E', 'L', 'E', 'T', 'E'};
    Place fields = at, fields_end, inner_end;
    uint64_t number;
    uint32_t count = 0;
    put_number(out, 0x94, 0, 0);
    if (levels <= 0 || (fields_end = over_entries(at, end, FIELDS, levels - 1, out)) == NULL
        || (at = over_entries(fields_end, end, META, levels - 1, out)) == NULL
        || (at = over_field_meta(at, end, fields, fields_end, levels - 2, out)) == NULL) {
        return 0;
    }
    unsigned char *head = put_head(out, 0xDF);
    if (at < end && *at == ID) {
        at = over_length(at + 1, end, &inner_end);
        if (at == NULL || at == inner_end || !is_text(at, inner_end)) {
            return 0;
        }
        put(out, id, sizeof(id));
        put_text(out, 0xDB, at, inner_end);
        at = inner_end;
        count++;
    }
    if (at < end && *at == DELETION) {
        at = over_varint(at + 1, end, &number);
        if (at == NULL || number != 1) {
            return 0;
        }
        put(out, method, sizeof(method));
        count++;
    }
    set_count(head, count);
    return at == end;
}

static Place
over_document(Place at, Place end, Py_ssize_t levels, int *is_cut, struct out *out)
{
    uint64_t length;
    if (*at != DOCUMENTS) {
        return NULL;
    }
    Place start = over_varint(at + 1, end, &length);
    if (start == NULL) {
        *is_cut = end - at < 11;
        return NULL;
    }
    if (length > (uint64_t)(end - start)) {
        *is_cut = 1;
        return NULL;
    }
    return is_document(start, start + length, levels, out) ? start + length : NULL;
}

#endif
