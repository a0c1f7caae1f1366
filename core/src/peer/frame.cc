#include "peer/frame.h"

#include <array>
#include <type_traits>

#include "base/crc32c.h"
#include "wire/reader.h"

namespace quorate::peer {
namespace {

using raft::Message;
using wire::FieldReader;
using wire::Writer;

// Field numbers. 1 to 15 of a message are numbers, whose meaning describe() gives; 16 and 17 have bytes.
constexpr uint32_t kMessage = 1;    // of the frame
constexpr uint32_t kType = 1;       // of a message
constexpr uint32_t kEntry = 16;     // of AppendEntries, repeated
constexpr uint32_t kSnapshot = 17;  // of InstallSnapshot
constexpr uint32_t kNumbers = 16;

constexpr uint32_t kEntryTerm = 1, kEntryType = 2, kEntryData = 3;
constexpr uint32_t kMetaIndex = 1, kMetaTerm = 2, kMetaAutoLeave = 3;
constexpr uint32_t kMetaVoters = 4, kMetaOutgoing = 5, kMetaLearners = 6, kMetaLearnersNext = 7;

constexpr uint64_t kCrcBytes = 4;
constexpr uint64_t kHeadBytes = kCrcBytes + 1;

// One description of each message, for writing and for reading: its type's number, which is never reused, and
// what its numbered fields mean.
template <typename T>
constexpr uint32_t kTypeNumber = 0;
#define QUORATE_PEER_MESSAGE(number, Type)             \
  template <>                                          \
  constexpr uint32_t kTypeNumber<raft::Type> = number; \
  template <typename Fields>                           \
  void describe(Fields& f, raft::Type& m)

QUORATE_PEER_MESSAGE(1, PreVoteRequest) {
  f(2, m.term), f(3, m.last_index), f(4, m.last_term), f(5, m.commit), f(6, m.commit_term);
}
QUORATE_PEER_MESSAGE(2, PreVoteResponse) {
  f(2, m.term), f(3, m.campaign_term), f(4, m.granted), f(5, m.commit), f(6, m.commit_term);
}
QUORATE_PEER_MESSAGE(3, VoteRequest) {
  f(2, m.term), f(3, m.last_index), f(4, m.last_term), f(5, m.commit), f(6, m.commit_term), f(7, m.transfer);
}
QUORATE_PEER_MESSAGE(4, VoteResponse) { f(2, m.term), f(4, m.granted), f(5, m.commit), f(6, m.commit_term); }
QUORATE_PEER_MESSAGE(5, AppendEntries) {
  f(2, m.term), f(3, m.prev_index), f(4, m.prev_term), f(5, m.commit);
}
QUORATE_PEER_MESSAGE(6, AppendResponse) {
  f(2, m.term), f(3, m.index), f(4, m.rejected), f(5, m.hint_index), f(6, m.hint_term);
}
QUORATE_PEER_MESSAGE(7, Heartbeat) { f(2, m.term), f(3, m.commit), f(4, m.read_sequence); }
QUORATE_PEER_MESSAGE(8, HeartbeatResponse) { f(2, m.term), f(4, m.read_sequence); }
QUORATE_PEER_MESSAGE(9, ReadIndexRequest) { f(2, m.term), f(4, m.id); }
QUORATE_PEER_MESSAGE(10, ReadIndexResponse) { f(2, m.term), f(3, m.index), f(4, m.id); }
QUORATE_PEER_MESSAGE(11, TimeoutNow) { f(2, m.term); }
QUORATE_PEER_MESSAGE(12, InstallSnapshot) { f(2, m.term); }
QUORATE_PEER_MESSAGE(13, SnapshotStatus) { f(2, m.term), f(3, m.index), f(4, m.outcome); }
#undef QUORATE_PEER_MESSAGE

// ---- Writing
// ---------------------------------------------------------------------------------------------------------

struct FieldWriter {
  Writer& out;
  template <typename Tag>
  void operator()(uint32_t number, const Tagged<Tag>& v) {
    out.varint_field(number, v.value);
  }
  void operator()(uint32_t number, uint64_t v) { out.varint_field(number, v); }
  void operator()(uint32_t number, bool v) { out.varint_field(number, v ? 1 : 0); }
  void operator()(uint32_t number, raft::SnapshotOutcome v) {
    out.varint_field(number, static_cast<uint64_t>(v));
  }
};

void write_ids(Writer& out, uint32_t number, const raft::MemberSet& ids) {
  for (MemberId id : ids) out.varint_field(number, id.value);
}

void write_snapshot(Writer& out, const raft::SnapshotMeta& meta) {
  Writer body;
  body.varint_field(kMetaIndex, meta.index.value);
  body.varint_field(kMetaTerm, meta.term.value);
  body.varint_field(kMetaAutoLeave, meta.config.auto_leave ? 1 : 0);
  write_ids(body, kMetaVoters, meta.config.voters);
  write_ids(body, kMetaOutgoing, meta.config.voters_outgoing);
  write_ids(body, kMetaLearners, meta.config.learners);
  write_ids(body, kMetaLearnersNext, meta.config.learners_next);
  out.message_field(kSnapshot, body.view());
}

size_t entry_size(const raft::Entry& e) {
  return wire::varint_field_size(kEntryTerm, e.term.value) +
         wire::varint_field_size(kEntryType, static_cast<uint64_t>(e.type)) +
         (e.data.empty() ? 0 : wire::bytes_field_size(kEntryData, e.data.size()));
}

// ---- Reading
// ---------------------------------------------------------------------------------------------------------

using Numbers = std::array<uint64_t, kNumbers>;

struct FieldAssigner {
  const Numbers& numbers;
  bool ok = true;
  template <typename Tag>
  void operator()(uint32_t number, Tagged<Tag>& v) {
    v = Tagged<Tag>(numbers[number]);
  }
  void operator()(uint32_t number, uint64_t& v) { v = numbers[number]; }
  void operator()(uint32_t number, bool& v) {
    ok = ok && numbers[number] <= 1;
    v = numbers[number] != 0;
  }
  void operator()(uint32_t number, raft::SnapshotOutcome& v) {
    ok = ok && numbers[number] <= static_cast<uint64_t>(raft::SnapshotOutcome::kFailed);
    v = static_cast<raft::SnapshotOutcome>(numbers[number]);
  }
};

// The part of `frame` that `bytes`, a view into it, stands for.
plugin::Buffer share(const plugin::Buffer& frame, std::string_view bytes) {
  if (bytes.empty()) return {};
  return frame.slice(static_cast<uint64_t>(bytes.data() - frame.chars()), bytes.size());
}

bool read_entry(const plugin::Buffer& frame, std::string_view bytes, raft::Entry* out) {
  FieldReader fields(bytes);
  while (fields.next()) {
    if (fields.is_varint() && fields.number() == kEntryTerm) out->term = Term(fields.varint());
    if (fields.is_varint() && fields.number() == kEntryType) {
      if (fields.varint() >= raft::kEntryTypes) return false;
      out->type = static_cast<raft::EntryType>(fields.varint());
    }
    if (fields.is_bytes() && fields.number() == kEntryData) out->data = share(frame, fields.bytes());
  }
  return fields.ok();
}

bool read_snapshot(std::string_view bytes, raft::SnapshotMeta* out) {
  FieldReader fields(bytes);
  uint64_t named = 0;
  while (fields.next()) {
    if (!fields.is_varint()) continue;
    const uint64_t v = fields.varint();
    raft::MemberSet* ids = nullptr;
    switch (fields.number()) {
      case kMetaIndex:
        out->index = Index(v);
        break;
      case kMetaTerm:
        out->term = Term(v);
        break;
      case kMetaAutoLeave:
        out->config.auto_leave = v != 0;
        break;
      case kMetaVoters:
        ids = &out->config.voters;
        break;
      case kMetaOutgoing:
        ids = &out->config.voters_outgoing;
        break;
      case kMetaLearners:
        ids = &out->config.learners;
        break;
      case kMetaLearnersNext:
        ids = &out->config.learners_next;
        break;
      default:
        break;
    }
    if (ids == nullptr) continue;
    if (++named > kMaxMembersNamed) return false;
    ids->insert(MemberId(v));
  }
  return fields.ok() && raft::check(out->config) == nullptr;
}

// Where the fields of a message were, found in one pass; entries are read when the type is known.
struct Parsed {
  Numbers numbers{};
  std::vector<raft::Entry> entries;
  raft::SnapshotMeta snapshot;
};

bool parse(const plugin::Buffer& frame, std::string_view bytes, uint64_t* entries_left, Parsed* out) {
  FieldReader fields(bytes);
  while (fields.next()) {
    if (fields.is_varint() && fields.number() < kNumbers) {
      out->numbers[fields.number()] = fields.varint();
    } else if (fields.is_bytes() && fields.number() == kEntry) {
      if ((*entries_left)-- == 0) return false;
      out->entries.emplace_back();
      if (!read_entry(frame, fields.bytes(), &out->entries.back())) return false;
    } else if (fields.is_bytes() && fields.number() == kSnapshot) {
      if (!read_snapshot(fields.bytes(), &out->snapshot)) return false;
    }
  }
  return fields.ok();
}

// Entries are contiguous behind prev_index, so their indexes do not travel.
bool number_entries(raft::AppendEntries* m, std::vector<raft::Entry> entries) {
  if (m->prev_index.value > UINT64_MAX - entries.size()) return false;
  m->entries = std::move(entries);
  Index index = m->prev_index;
  for (raft::Entry& e : m->entries) e.index = ++index;
  return true;
}

template <size_t I = 0>
bool build(Parsed& parsed, Message* out) {
  if constexpr (I == std::variant_size_v<Message>) {
    return false;  // a type of a later version
  } else {
    using T = std::variant_alternative_t<I, Message>;
    static_assert(kTypeNumber<T> != 0, "describe() it above");
    if (parsed.numbers[kType] != kTypeNumber<T>) return build<I + 1>(parsed, out);
    T m;
    FieldAssigner assign{parsed.numbers};
    describe(assign, m);
    if (!assign.ok) return false;
    if constexpr (std::is_same_v<T, raft::AppendEntries>) {
      if (!number_entries(&m, std::move(parsed.entries))) return false;
    }
    if constexpr (std::is_same_v<T, raft::InstallSnapshot>) m.snapshot = std::move(parsed.snapshot);
    *out = std::move(m);
    return true;
  }
}

}  // namespace

void FrameWriter::add(const Message& message) {
  Writer body;
  uint64_t entries_size = 0;
  const std::vector<raft::Entry>* entries = nullptr;
  std::visit(
      [&](const auto& m) {
        using T = std::decay_t<decltype(m)>;
        body.varint_field(kType, kTypeNumber<T>);
        FieldWriter write{body};
        describe(write, const_cast<T&>(m));  // which only reads it
        if constexpr (std::is_same_v<T, raft::InstallSnapshot>) write_snapshot(body, m.snapshot);
        if constexpr (std::is_same_v<T, raft::AppendEntries>) {
          entries = &m.entries;
          for (const raft::Entry& e : m.entries)
            entries_size += wire::bytes_field_size(kEntry, entry_size(e));
        }
      },
      message);
  const uint64_t total = body.size() + entries_size;
  size_ += wire::bytes_field_size(kMessage, total);
  ++messages_;
  writer_.message_header(kMessage, total);
  writer_.append(body.view());
  if (entries != nullptr) add_entries(*entries);
}

void FrameWriter::add_entries(const std::vector<raft::Entry>& entries) {
  entries_ += entries.size();
  for (const raft::Entry& e : entries) {
    writer_.message_header(kEntry, entry_size(e));
    writer_.varint_field(kEntryTerm, e.term.value);
    writer_.varint_field(kEntryType, static_cast<uint64_t>(e.type));
    if (e.data.size() <= kShareBytes) {
      writer_.bytes_field(kEntryData, {e.data.chars(), e.data.size()});
      continue;
    }
    writer_.message_header(kEntryData, e.data.size());
    pieces_.push_back(writer_.take());
    pieces_.push_back(e.data);
  }
}

std::vector<plugin::Buffer> FrameWriter::take() {
  if (writer_.size() != 0) pieces_.push_back(writer_.take());
  uint8_t* head = nullptr;
  plugin::Buffer first = plugin::Buffer::allocate(kHeadBytes, &head);
  head[kCrcBytes] = kFrameVersion;
  uint32_t crc = crc32c(head + kCrcBytes, 1);
  for (const plugin::Buffer& piece : pieces_) crc = crc32c(piece.data(), piece.size(), crc);
  for (uint64_t i = 0; i < kCrcBytes; ++i) head[i] = static_cast<uint8_t>(crc >> (8 * i));
  pieces_.insert(pieces_.begin(), std::move(first));
  size_ = messages_ = entries_ = 0;
  return std::exchange(pieces_, {});
}

bool read_frame(const plugin::Buffer& frame, std::vector<Message>* out, const char** error) {
  auto wrong = [&](const char* what) {
    *error = what;
    out->clear();
    return false;
  };
  if (frame.size() < kHeadBytes) return wrong("the frame is shorter than its head");
  uint32_t crc = 0;
  for (uint64_t i = 0; i < kCrcBytes; ++i) crc |= uint32_t{frame.data()[i]} << (8 * i);
  if (crc != crc32c(frame.data() + kCrcBytes, frame.size() - kCrcBytes))
    return wrong("the checksum is wrong");
  if (frame.data()[kCrcBytes] != kFrameVersion) return wrong("the frame's version is unknown");
  FieldReader fields({frame.chars() + kHeadBytes, frame.size() - kHeadBytes});
  uint64_t entries_left = kMaxEntries;
  while (fields.next()) {
    if (fields.number() != kMessage || !fields.is_bytes()) continue;
    if (out->size() == kMaxMessages) return wrong("too many messages");
    Parsed parsed;
    Message message;
    if (!parse(frame, fields.bytes(), &entries_left, &parsed)) return wrong("a message is malformed");
    if (!build(parsed, &message))
      return wrong("a message is of an unknown type, or a field out of its range");
    out->push_back(std::move(message));
  }
  return fields.ok() || wrong("the list of messages is malformed");
}

}  // namespace quorate::peer
