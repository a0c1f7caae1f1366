#include "server/long_range.h"

#include <algorithm>
#include <limits>

#include "server/server.h"
#include "wire/reader.h"

namespace quorate::server::kv {
namespace {

constexpr uint64_t kPartBytes = 64u << 10;     // about
constexpr uint64_t kQueuedBytes = 128u << 10;  // more wait until the client has read

plugin::LongMessage* long_message_of(UnaryCall& call) {
  return static_cast<plugin::LongMessage*>(call.writer().query(plugin::LongMessage::kId));
}

}  // namespace

int64_t next_limit(int64_t limit, uint64_t size, uint64_t target) {
  if (size < target / 2 && limit < std::numeric_limits<int64_t>::max() / 2) limit *= 2;
  if (size > target * 2) limit /= 2;
  return std::max<int64_t>(limit, 1);
}

std::string key_of(const mvcc::Record& record) {
  wire::FieldReader fields({record.chars(), record.size});
  while (fields.next()) {
    if (fields.number() == 1 && fields.is_bytes()) return std::string(fields.bytes());
  }
  return {};
}

bool LongRange::can_take(UnaryCall& call, const mvcc::RangeQuery& query) {
  const bool filtered =
      query.min_mod != 0 || query.max_mod != 0 || query.min_create != 0 || query.max_create != 0;
  const bool by_key = query.target == mvcc::SortTarget::kKey && query.order != mvcc::SortOrder::kDescend;
  if (query.interval.is_point() || query.keys_only || query.count_only || filtered || !by_key) return false;
  return long_message_of(call) != nullptr;
}

void LongRange::start(Server& server, plugin::Ref<UnaryCall> call, const mvcc::RangeQuery& query,
                      const mvcc::RangeResult& totals) {
  if (call->ended()) return;
  std::make_shared<LongRange>(server, std::move(call), query, totals)->begin(totals);
}

LongRange::LongRange(Server& server, plugin::Ref<UnaryCall> call, const mvcc::RangeQuery& query,
                     const mvcc::RangeResult& totals)
    : server_(server),
      call_(std::move(call)),
      message_(*long_message_of(*call_)),
      query_(query),
      key_(query.interval.begin()),
      range_end_(query.interval.has_end() ? query.interval.end() : std::string_view()),
      has_end_(query.interval.has_end()),
      left_(totals.left_out),
      bytes_left_(totals.left_out_bytes) {
  query_.revision = totals.read_revision;  // a record never changes, so the sizes counted are those that come
  query_.max_bytes = 0;
  const uint64_t average = std::max<uint64_t>(1, bytes_left_ / static_cast<uint64_t>(left_));
  query_.limit = static_cast<int64_t>(std::max<uint64_t>(1, kPartBytes / average));
}

void LongRange::begin(const mvcc::RangeResult& totals) {
  wire::Writer head(HeaderWriter::kMaxSize), tail;
  server_.header().write(head, totals.current_revision, server_.term());
  tail.varint_field(3, totals.more);
  tail.varint_field(4, static_cast<uint64_t>(totals.count));
  tail_ = std::string(tail.view());
  // Called by the transport, and from within its own calls: it goes on in a turn of its own.
  call_->answer_slowly([self = shared_from_this()] {
    if (std::exchange(self->waiting_, false)) self->next_later();
  });
  message_.begin(head.size() + bytes_left_ + tail_.size());
  const plugin::Buffer first = head.take();
  message_.piece({&first, 1});
  next();
}

void LongRange::next_later() {
  server_.runtime().executor->post([self = shared_from_this()] { self->next(); });
}

void LongRange::next() {
  if (call_->ended()) return;
  // Other calls of the connection hold what it may: the client reads them first, however long it takes.
  const uint64_t about = bytes_left_ / static_cast<uint64_t>(left_) * static_cast<uint64_t>(query_.limit);
  if (!call_->has_room_for(std::min(about, bytes_left_))) {
    return call_->wait_for_room([self = shared_from_this()] { self->next(); }, api::RpcError(), UINT64_MAX);
  }
  query_.interval = has_end_ ? api::Interval::of(key_, range_end_) : api::Interval::from(key_);
  query_.limit = std::min(query_.limit, left_);
  server_.store().range(query_,
                        [self = shared_from_this()](const mvcc::RangeResult& result) { self->part(result); });
}

void LongRange::part(const mvcc::RangeResult& result) {
  if (call_->ended()) return;
  // Compacted meanwhile, or the engine failed: the message stays cut short, and the call says why.
  if (result.error != mvcc::ReadError::kNone) return call_->finish(to_error(result.error, result.text));
  const uint64_t size = encoded_size(result.records);
  if (result.records.empty() || size > bytes_left_) {
    return call_->finish(api::untranslated("etcdserver: a large answer changed while it was sent"));
  }
  wire::Writer body(size);
  for (const mvcc::Record& record : result.records) body.message_field(2, {record.chars(), record.size});
  left_ -= static_cast<int64_t>(result.records.size());
  bytes_left_ -= size;
  key_ = key_of(result.records.back()) + '\0';
  query_.limit = next_limit(query_.limit, size, kPartBytes);
  if (left_ == 0) body.append(tail_);
  const plugin::Buffer piece = body.take();
  message_.piece({&piece, 1});
  if (left_ == 0) return call_->finish_ok();
  if (call_->writer().queued_bytes() > kQueuedBytes) {
    waiting_ = true;
  } else {
    next_later();
  }
}

}  // namespace quorate::server::kv
