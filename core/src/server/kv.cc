// The KV service. etcd-surface §1.3.
#include <limits>

#include "server/long_range.h"
#include "server/server.h"
#include "server/txn.h"

namespace quorate::server {

api::RpcError to_error(mvcc::ReadError error, const std::string& text) {
  switch (error) {
    case mvcc::ReadError::kNone:
      return {};
    case mvcc::ReadError::kCompacted:
      return api::rpc_error(api::Error::kCompacted);
    case mvcc::ReadError::kFuture:
      return api::rpc_error(api::Error::kFutureRev);
    case mvcc::ReadError::kCorrupt:
      return {api::GrpcCode::kDataLoss, "etcdserver: " + text};
    case mvcc::ReadError::kEngine:
      return {api::GrpcCode::kUnavailable, "etcdserver: " + text};
    case mvcc::ReadError::kStopped:
      return api::rpc_error(api::Error::kStopped);
  }
  return api::untranslated("etcdserver: unknown read error");
}

namespace kv {
namespace {

// The answer to a write, or a transaction: the header and, with the records that the client asked for, the
// rest.
template <typename Encode>
void answer_with_records(Server& server, UnaryCall& call, int64_t revision,
                         std::vector<mvcc::KeyVersion> versions, Encode encode) {
  size_t size = HeaderWriter::kMaxSize + 16;
  for (const mvcc::KeyVersion& v : versions) size += v.record_size + 8;
  if (!call.has_room_for(size)) {
    const api::RpcError otherwise = {api::GrpcCode::kResourceExhausted,
                                     "etcdserver: the request was carried out, but its answer of " +
                                         std::to_string(size) +
                                         " bytes is more than may wait for one connection"};
    auto again = [&server, keep = plugin::Ref<UnaryCall>::share(&call), revision,
                  versions = std::move(versions), encode = std::move(encode)]() mutable {
      answer_with_records(server, *keep, revision, std::move(versions), std::move(encode));
    };
    return call.wait_for_room(std::move(again), otherwise);
  }
  auto answer = [&server, revision, size, encode = std::move(encode)](UnaryCall& c,
                                                                      std::span<const mvcc::Record> records) {
    wire::Writer out(size);
    server.header().write(out, revision, server.term());
    RecordCursor cursor(records);
    encode(cursor, out);
    c.reply(out.take());
  };
  if (versions.empty()) return answer(call, {});
  server.store().fetch(
      std::move(versions), [call = plugin::Ref<UnaryCall>::share(&call),
                            answer = std::move(answer)](const mvcc::Store::Fetched& fetched) {
        if (fetched.error != mvcc::ReadError::kNone)
          return call->finish(to_error(fetched.error, fetched.text));
        // An answer that waited for room holds nothing back from compaction meanwhile.
        for (const mvcc::Record& record : fetched.records) {
          if (record.empty())
            return call->finish(
                api::untranslated("etcdserver: the request was carried out, but its answer was compacted"));
        }
        answer(*call, fetched.records);
      });
}

void answer_op(Server& server, UnaryCall& call, Outcome& outcome) {
  std::vector<mvcc::KeyVersion> versions;
  collect_records(outcome.op, &versions);
  answer_with_records(server, call, outcome.revision, std::move(versions),
                      [op = std::make_shared<OpOutcome>(std::move(outcome.op))](
                          RecordCursor& records, wire::Writer& out) { encode_op_body(*op, records, out); });
}

// The error of the first range that could not be read, wherever it is nested.
const OpOutcome* failed_range(const TxnOutcome& txn) {
  for (const OpOutcome& op : txn.ops) {
    if (op.kind == OpOutcome::Kind::kRange && op.found.error != mvcc::ReadError::kNone) return &op;
    if (op.kind == OpOutcome::Kind::kTxn) {
      if (const OpOutcome* failed = failed_range(*op.txn)) return failed;
    }
  }
  return nullptr;
}

void answer_txn(Server& server, UnaryCall& call, TxnOutcome outcome) {
  if (const OpOutcome* failed = failed_range(outcome)) return call.finish(to_error(failed->found.error, ""));
  std::vector<mvcc::KeyVersion> versions;
  collect_records(outcome, &versions);
  const int64_t revision = outcome.revision;
  answer_with_records(server, call, revision, std::move(versions),
                      [txn = std::make_shared<TxnOutcome>(std::move(outcome))](
                          RecordCursor& records, wire::Writer& out) { encode_txn_body(*txn, records, out); });
}

// Puts whose answer is a header alone, by far the most frequent.
void answer_put(Server& server, UnaryCall& call, Outcome& outcome) {
  if (outcome.op.previous) return answer_op(server, call, outcome);
  wire::Writer out(HeaderWriter::kMaxSize);
  server.header().write(out, outcome.revision, server.term());
  call.reply(out.take());
}

void read_range(Server& server, plugin::Ref<UnaryCall> call, mvcc::RangeQuery query) {
  if (LongRange::can_take(*call, query)) query.max_bytes = LongRange::kFrom;
  server.store().range(query, [&server, query, call = std::move(call)](const mvcc::RangeResult& result) {
    if (result.error != mvcc::ReadError::kNone) return call->finish(to_error(result.error, result.text));
    if (result.left_out != 0) return LongRange::start(server, call, query, result);
    const uint64_t size = encoded_size(result.records);
    if (!call->has_room_for(size)) {
      return call->wait_for_room([&server, call, query] { read_range(server, call, query); },
                                 Call::no_room(size));
    }
    call->reply(encode_range(server.header(), result.current_revision, server.term(), result.records,
                             result.more, result.count));
  });
}

// A transaction of ranges alone: answered from the current state, without the log.
void read_txn(Server& server, plugin::Ref<UnaryCall> call, const api::TxnRequest& request) {
  std::vector<mvcc::KeyVersion> deciding;
  collect_deciding(request, server.store(), &deciding);
  auto run = [&server](UnaryCall& c, const api::TxnRequest& txn, const DecidingRecords& records) {
    TxnOutcome outcome;
    std::optional<api::Error> error;
    server.store().view([&](mvcc::Apply& apply) {
      error = Execution(apply, server.lessor(), records, true, server.store().compacted()).txn(txn, &outcome);
    });
    if (error) return c.finish(api::rpc_error(*error));
    answer_txn(server, c, std::move(outcome));
  };
  if (deciding.empty()) return run(*call, request, DecidingRecords());
  auto versions = deciding;
  server.store().fetch(std::move(versions),
                       [&server, run, call = std::move(call),
                        deciding = std::move(deciding)](const mvcc::Store::Fetched& fetched) mutable {
                         if (fetched.error != mvcc::ReadError::kNone)
                           return call->finish(to_error(fetched.error, fetched.text));
                         DecidingRecords records;
                         for (size_t i = 0; i < deciding.size(); ++i)
                           records.add(deciding[i].mod, std::string(value_of(fetched.records[i])));
                         wire::Arena arena;
                         api::TxnRequest txn;
                         if (!decode_call(*call, arena, &txn)) return;
                         // The state may have moved on while the records were read: what decides now must be
                         // what was read.
                         std::vector<mvcc::KeyVersion> now;
                         collect_deciding(txn, server.store(), &now);
                         for (const mvcc::KeyVersion& version : now) {
                           if (!records.has(version)) return read_txn(server, std::move(call), txn);
                         }
                         run(*call, txn, records);
                       });
}

}  // namespace

void range(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::RangeRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (auto error = check_range(request)) return call->finish(api::rpc_error(*error));
  // The query's interval points into the call's message, which the call keeps.
  const mvcc::RangeQuery query = to_query(request);
  if (request.serializable) return read_range(server, std::move(call), query);
  server.read_barrier(
      call, [&server, query](UnaryCall& c) { read_range(server, plugin::Ref<UnaryCall>::share(&c), query); });
}

void put(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::PutRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (auto error = check_put(request)) return call->finish(api::rpc_error(*error));
  if (!server.within_quota(cost(request))) return call->finish(api::rpc_error(api::Error::kNoSpace));
  const std::string_view bytes(call->message().chars(), call->message().size());
  server.propose(EntryKind::kPut, bytes, std::move(call),
                 [&server](UnaryCall& c, Outcome& outcome) { answer_put(server, c, outcome); });
}

void remove(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::DeleteRangeRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (auto error = check_delete(request)) return call->finish(api::rpc_error(*error));
  const std::string_view bytes(call->message().chars(), call->message().size());
  server.propose(EntryKind::kDeleteRange, bytes, std::move(call),
                 [&server](UnaryCall& c, Outcome& outcome) { answer_op(server, c, outcome); });
}

void txn(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::TxnRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (auto error = check_txn(request, server.options().max_txn_ops))
    return call->finish(api::rpc_error(*error));
  if (is_read_only(request)) {
    if (is_serializable(request)) return read_txn(server, std::move(call), request);
    return server.read_barrier(call, [&server](UnaryCall& c) {
      wire::Arena arena;
      api::TxnRequest again;  // the first decoding is gone by now
      if (decode_call(c, arena, &again)) read_txn(server, plugin::Ref<UnaryCall>::share(&c), again);
    });
  }
  const uint64_t needed = cost(request);
  if (needed > 0 && !server.within_quota(needed)) return call->finish(api::rpc_error(api::Error::kNoSpace));
  const std::string_view bytes(call->message().chars(), call->message().size());
  server.propose(EntryKind::kTxn, bytes, std::move(call), [&server](UnaryCall& c, Outcome& outcome) {
    answer_txn(server, c, std::move(outcome.txn));
  });
}

void compact(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::CompactionRequest request;
  if (!decode_call(*call, arena, &request)) return;
  const bool physical = request.physical;
  const std::string_view bytes(call->message().chars(), call->message().size());
  server.propose(
      EntryKind::kCompaction, bytes, std::move(call), [&server, physical](UnaryCall& c, Outcome& outcome) {
        auto answer = [&server, revision = outcome.revision](UnaryCall& done) {
          wire::Writer out(HeaderWriter::kMaxSize);
          server.header().write(out, revision, server.term());
          done.reply(out.take());
        };
        if (!physical) return answer(c);
        server.store().when_scrubbed([answer, keep = plugin::Ref<UnaryCall>::share(&c)] { answer(*keep); });
      });
}

}  // namespace kv
}  // namespace quorate::server
