// Building replies. The frequent ones are written piece by piece around stored bytes; the others are encoded
// from structs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "api/messages.h"
#include "mvcc/store.h"
#include "server/txn.h"
#include "wire/codec.h"
#include "wire/writer.h"

namespace quorate::server {

// The part of every reply's header that never changes, and how to complete it.
class HeaderWriter {
 public:
  HeaderWriter() = default;
  HeaderWriter(uint64_t cluster_id, uint64_t member_id);
  // Appends field 1, the header. Zero revision and term are left out, as proto3 does.
  void write(wire::Writer& out, int64_t revision, uint64_t term) const;
  api::ResponseHeader make(int64_t revision, uint64_t term) const {
    return {.cluster_id = cluster_id_, .member_id = member_id_, .revision = revision, .raft_term = term};
  }
  static constexpr size_t kMaxSize = 50;

 private:
  uint64_t cluster_id_ = 0;
  uint64_t member_id_ = 0;
  std::string fixed_;  // cluster_id and member_id, encoded
};

uint64_t encoded_size(std::span<const mvcc::Record> records);
plugin::Buffer encode_range(const HeaderWriter&, int64_t revision, uint64_t term,
                            std::span<const mvcc::Record> records, bool more, int64_t count);

// The records that the answer to these outcomes needs, in the order in which the encoders below use them up.
void collect_records(const OpOutcome&, std::vector<mvcc::KeyVersion>* out);
void collect_records(const TxnOutcome&, std::vector<mvcc::KeyVersion>* out);

// One after another.
class RecordCursor {
 public:
  explicit RecordCursor(std::span<const mvcc::Record> records) : records_(records) {}
  mvcc::Record next() { return at_ < records_.size() ? records_[at_++] : mvcc::Record(); }

 private:
  std::span<const mvcc::Record> records_;
  size_t at_ = 0;
};

// The bodies behind the header.
void encode_op_body(const OpOutcome&, RecordCursor&, wire::Writer& out);
void encode_txn_body(const TxnOutcome&, RecordCursor&, wire::Writer& out);

}  // namespace quorate::server
