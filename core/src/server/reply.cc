#include "server/reply.h"

#include <algorithm>

#include "wire/reader.h"

namespace quorate::server {
namespace {

std::string_view view(mvcc::Record record) { return {record.chars(), record.size}; }

// KeyValue as keys_only answers it: from the index alone, without value and lease.
void write_key_only(wire::Writer& out, std::string_view key, const mvcc::KeyVersion& version) {
  out.bytes_field(1, key);
  out.varint_field(2, static_cast<uint64_t>(version.create_main));
  out.varint_field(3, static_cast<uint64_t>(version.mod.main));
  out.varint_field(4, static_cast<uint64_t>(version.version));
}

// A record without its value: what keys_only answers where the records had to be read all the same.
void write_without_value(wire::Writer& out, mvcc::Record record) {
  wire::FieldReader fields(view(record));
  while (fields.next()) {
    if (fields.number() != 5) out.append(fields.raw());
  }
}

void sort_by_value(mvcc::SortOrder order, std::vector<mvcc::Record>* records) {
  const bool descending = order == mvcc::SortOrder::kDescend;
  std::stable_sort(records->begin(), records->end(), [&](const mvcc::Record& a, const mvcc::Record& b) {
    return descending ? value_of(b) < value_of(a) : value_of(a) < value_of(b);
  });
}

bool from_index(const OpOutcome& op) { return op.keys_only && op.target != mvcc::SortTarget::kValue; }

void encode_range_body(const OpOutcome& op, RecordCursor& records, wire::Writer& out) {
  bool more = op.found.more;
  if (from_index(op)) {
    for (const auto& item : op.found.items) {
      wire::Writer kv;
      write_key_only(kv, item.key, item.version);
      out.message_field(2, kv.view());
    }
  } else {
    std::vector<mvcc::Record> found;
    for (size_t i = 0; i < op.found.items.size(); ++i) found.push_back(records.next());
    if (op.target == mvcc::SortTarget::kValue) {
      sort_by_value(op.order, &found);
      if (op.limit > 0 && found.size() > static_cast<size_t>(op.limit)) {
        found.resize(static_cast<size_t>(op.limit));
        more = true;
      }
    }
    for (mvcc::Record record : found) {
      if (op.keys_only) {
        wire::Writer kv;
        write_without_value(kv, record);
        out.message_field(2, kv.view());
      } else {
        out.message_field(2, view(record));
      }
    }
  }
  out.varint_field(3, more);
  out.varint_field(4, static_cast<uint64_t>(op.found.count));
}

}  // namespace

HeaderWriter::HeaderWriter(uint64_t cluster_id, uint64_t member_id)
    : cluster_id_(cluster_id), member_id_(member_id) {
  wire::Writer out;
  out.varint_field(1, cluster_id);
  out.varint_field(2, member_id);
  fixed_ = std::string(out.view());
}

void HeaderWriter::write(wire::Writer& out, int64_t revision, uint64_t term) const {
  const size_t size = fixed_.size() + wire::varint_field_size(3, static_cast<uint64_t>(revision)) +
                      wire::varint_field_size(4, term);
  out.message_header(1, size);
  out.append(fixed_);
  out.varint_field(3, static_cast<uint64_t>(revision));
  out.varint_field(4, term);
}

uint64_t encoded_size(std::span<const mvcc::Record> records) {
  uint64_t size = 0;
  for (const mvcc::Record& record : records) size += wire::bytes_field_size(2, record.size);
  return size;
}

plugin::Buffer encode_range(const HeaderWriter& header, int64_t revision, uint64_t term,
                            std::span<const mvcc::Record> records, bool more, int64_t count) {
  wire::Writer out(HeaderWriter::kMaxSize + 16 + encoded_size(records));
  header.write(out, revision, term);
  for (const mvcc::Record& record : records) out.message_field(2, view(record));
  out.varint_field(3, more);
  out.varint_field(4, static_cast<uint64_t>(count));
  return out.take();
}

void collect_records(const OpOutcome& op, std::vector<mvcc::KeyVersion>* out) {
  switch (op.kind) {
    case OpOutcome::Kind::kRange:
      if (from_index(op)) return;
      for (const auto& item : op.found.items) out->push_back(item.version);
      return;
    case OpOutcome::Kind::kPut:
      if (op.previous) out->push_back(*op.previous);
      return;
    case OpOutcome::Kind::kDelete:
      out->insert(out->end(), op.previous_all.begin(), op.previous_all.end());
      return;
    case OpOutcome::Kind::kTxn:
      return collect_records(*op.txn, out);
  }
}

void collect_records(const TxnOutcome& txn, std::vector<mvcc::KeyVersion>* out) {
  for (const OpOutcome& op : txn.ops) collect_records(op, out);
}

void encode_op_body(const OpOutcome& op, RecordCursor& records, wire::Writer& out) {
  switch (op.kind) {
    case OpOutcome::Kind::kRange:
      return encode_range_body(op, records, out);
    case OpOutcome::Kind::kPut:
      if (op.previous) out.message_field(2, view(records.next()));
      return;
    case OpOutcome::Kind::kDelete:
      out.varint_field(2, static_cast<uint64_t>(op.deleted));
      for (size_t i = 0; i < op.previous_all.size(); ++i) out.message_field(3, view(records.next()));
      return;
    case OpOutcome::Kind::kTxn:
      return encode_txn_body(*op.txn, records, out);
  }
}

void encode_txn_body(const TxnOutcome& txn, RecordCursor& records, wire::Writer& out) {
  out.varint_field(2, txn.succeeded);
  for (const OpOutcome& op : txn.ops) {
    wire::Writer response;
    if (op.kind == OpOutcome::Kind::kTxn) {
      response.message_field(1, "");  // a nested transaction's header is there, and empty
    } else {
      wire::Writer header;
      header.varint_field(3, static_cast<uint64_t>(op.revision));
      response.message_field(1, header.view());
    }
    encode_op_body(op, records, response);
    // The response's case has the number of its kind: range 1, put 2, delete 3, txn 4.
    wire::Writer wrapped;
    wrapped.message_field(static_cast<uint32_t>(op.kind) + 1, response.view());
    out.message_field(3, wrapped.view());
  }
}

}  // namespace quorate::server
