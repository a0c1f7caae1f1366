#include "wal/recovery.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"

namespace quorate::wal {

using plugin::Buffer;
using plugin::ByteView;
using plugin::Code;
using plugin::Ref;

namespace {

constexpr uint64_t kReadAhead = 1 << 20;

// Reads a file forward in large pieces.
class Reader {
 public:
  Status open(FileSystem* files, const std::string& path) {
    if (Status s = files->open(path.c_str(), plugin::kOpenRead, file_.out()); !s) return s;
    return file_->size(&size_);
  }
  uint64_t size() const { return size_; }
  // Bytes [offset, offset + n) of the file, fewer at its end; valid until the next call.
  Status at(uint64_t offset, uint64_t n, ByteView* out) {
    n = std::min(n, size_ - std::min(offset, size_));
    if (offset < begin_ || offset + n > begin_ + got_) {
      buffer_.resize(std::max(n, std::min(kReadAhead, size_ - offset)));
      begin_ = offset;
      got_ = 0;
      if (Status s = file_->read_at(offset, buffer_.data(), buffer_.size(), &got_); !s) return s;
    }
    *out = {buffer_.data() + (offset - begin_), std::min(n, begin_ + got_ - offset)};
    return {};
  }

 private:
  Ref<File> file_;
  uint64_t size_ = 0;
  std::vector<uint8_t> buffer_;
  uint64_t begin_ = 0;
  uint64_t got_ = 0;
};

class LogReader {
 public:
  LogReader(const SegmentDirectory& directory, Recovered* recovered, Tail* tail)
      : directory_(directory), recovered_(recovered), tail_(tail) {}

  Status read(const std::vector<uint64_t>& sequences) {
    Status s = read_headers(sequences);
    for (size_t i = 0; s && i < headers_.size(); ++i) s = read_segment(i);
    if (s) s = check_whole();
    finish();
    return s;
  }

 private:
  Status wrong(const std::string& file, uint64_t offset, const std::string& what,
               Code code = Code::kCorruption) {
    recovered_->corruption = Corruption{file, offset, what};
    return Status(code, file + " at offset " + std::to_string(offset) + ": " + what);
  }
  Status unreadable(const std::string& file, uint64_t offset, const Status& s) {
    return wrong(file, offset, s.text(), Code::kIo);
  }

  Status read_headers(const std::vector<uint64_t>& sequences) {
    for (size_t i = 0; i < sequences.size(); ++i) {
      uint64_t expected = sequences.front() + i;
      if (sequences[i] != expected)
        return wrong(directory_.segment_path(expected), 0, "the segment is missing");
      SegmentHeader header;
      if (Status s = read_header(expected, &header); !s) return s;
      if (i > 0 && header.first_batch < headers_.back().first_batch)
        return wrong(directory_.segment_path(expected), 0,
                     "its first batch is before that of the segment before it");
      headers_.push_back(std::move(header));
    }
    return {};
  }

  Status read_header(uint64_t sequence, SegmentHeader* out) {
    std::string path = directory_.segment_path(sequence);
    Reader reader;
    if (Status s = reader.open(directory_.files(), path); !s) return unreadable(path, 0, s);
    Status failed;
    switch (find_header(&reader, out, &failed)) {
      case HeaderCheck::kBad:
        return failed ? wrong(path, 0, "both copies of the segment header are damaged")
                      : unreadable(path, 0, failed);
      case HeaderCheck::kLaterVersion:
        return Status(Code::kIncompatible, path + ": written by a later version of the log format");
      case HeaderCheck::kGood:
        break;
    }
    if (out->sequence != sequence) return wrong(path, 0, "the header is that of another segment");
    if (reader.size() < out->segment_bytes) return wrong(path, reader.size(), "the file is cut short");
    if (out->data_start() > out->segment_bytes)
      return wrong(path, 0, "the header is larger than the segment");
    return {};
  }

  // The first copy stands at the front; where the second stands, only the first says: it is searched for. A
  // copy that cannot be read is like one that is damaged.
  HeaderCheck find_header(Reader* reader, SegmentHeader* out, Status* failed) {
    ByteView bytes;
    if (Status s = reader->at(0, kSector, &bytes); !s) {
      *failed = s;
    } else if (uint32_t size = claimed_header_bytes(bytes, 0)) {
      if (Status t = reader->at(0, size, &bytes); !t)
        *failed = t;
      else if (auto check = decode_segment_header(bytes, 0, out); check != HeaderCheck::kBad)
        return check;
    }
    for (uint64_t at = kSector; at <= kMaxHeaderBytes && at + kSector <= reader->size(); at += kSector) {
      if (Status s = reader->at(at, kSector, &bytes); !s) return *failed = s, HeaderCheck::kBad;
      uint32_t size = claimed_header_bytes(bytes, 1);
      if (size != at) continue;  // the second copy stands behind one of equal size
      if (Status s = reader->at(at, size, &bytes); !s) return *failed = s, HeaderCheck::kBad;
      if (auto check = decode_segment_header(bytes, 1, out); check != HeaderCheck::kBad) return check;
    }
    return HeaderCheck::kBad;
  }

  Status read_segment(size_t i) {
    const SegmentHeader& header = headers_[i];
    bool last = i + 1 == headers_.size();
    std::string path = directory_.segment_path(header.sequence);
    if (Status s = adopt_state(header, path); !s) return s;
    info_ = {header.sequence, header.segment_bytes, Index(0)};
    tail_->sealed = true;
    Reader reader;
    if (Status s = reader.open(directory_.files(), path); !s) return unreadable(path, 0, s);
    uint64_t at = header.data_start();
    uint64_t number = header.first_batch;
    while (last || number != headers_[i + 1].first_batch) {
      uint64_t bytes = 0;
      if (Status s = read_batch(&reader, header, path, at, number, &bytes); !s) return s;
      if (bytes == 0) {
        if (!last) return wrong(path, at, "batch " + std::to_string(number) + " is missing or damaged");
        if (Status s = judge_tail(&reader, header, path, at, number); !s) return s;
        break;
      }
      at += bytes;
      ++number;
    }
    tail_->segments.push_back(info_);
    tail_->offset = at;
    tail_->next_batch = number;
    return {};
  }

  // The oldest segment's header says where everything stood; the later ones must agree with what was read.
  Status adopt_state(const SegmentHeader& header, const std::string& path) {
    LogState& state = tail_->state;
    if (tail_->segments.empty()) {
      state = header.state;
      tail_->next_batch = header.first_batch;
      return {};
    }
    const LogState& h = header.state;
    bool same = state.metadata == h.metadata && state.hard_state == h.hard_state &&
                state.members == h.members && state.base == h.base &&
                state.terms.start() == h.terms.start() && state.terms.last() == h.terms.last();
    return same ? Status() : wrong(path, 0, "the header contradicts the segments before it");
  }

  // *bytes stays 0 when there is no valid batch of that number here.
  Status read_batch(Reader* reader, const SegmentHeader& header, const std::string& path, uint64_t at,
                    uint64_t number, uint64_t* bytes) {
    BatchHeader batch;
    ByteView raw;
    uint64_t room = header.segment_bytes - std::min(at, header.segment_bytes);
    if (room < kSector) return {};
    if (Status s = reader->at(at, kSector, &raw); !s) return unreadable(path, at, s);
    if (!decode_batch_header(raw, header.salt, &batch) || batch.number != number || batch.offset != at)
      return {};
    if (batch.padded_bytes() > std::min(room, batch_limit(header.segment_bytes))) return {};
    if (Status s = reader->at(at, batch.padded_bytes(), &raw); !s) return unreadable(path, at, s);
    if (raw.size < batch.padded_bytes()) return {};
    if (crc32c(raw.data + kBatchFixed, raw.size - kBatchFixed) != batch.payload_crc) return {};
    if (const char* error = replay({raw.data + kBatchFixed, batch.length}, batch.first_index))
      return wrong(path, at, std::string("batch ") + std::to_string(number) + " holds " + error);
    tail_->sealed = batch.length == 0;
    *bytes = batch.padded_bytes();
    return {};
  }

  const char* replay(ByteView records, Index first_index) {
    Buffer shared;  // one copy of the batch; its entries are slices
    ByteView rest = records;
    Record record;
    const char* error = nullptr;
    bool first = true;
    while (next_record(&rest, &record, &error)) {
      if (record.type != RecordType::kEntry) {
        if (const char* e = apply_record(record, &tail_->state)) return e;
        continue;
      }
      raft::Entry entry;
      ByteView data;
      if (const char* e = decode_entry(record, &entry, &data)) return e;
      if (std::exchange(first, false) && entry.index != first_index)
        return "a first entry that its header does not name";
      if (const char* e = tail_->state.objection({entry.index, entry.term})) return e;
      if (!data.empty()) {
        if (shared.empty()) shared = Buffer::copy_of(records);
        entry.data = shared.slice(static_cast<uint64_t>(data.data - records.data), data.size);
      }
      keep(std::move(entry));
    }
    if (first && first_index.value != 0) return "no entry though its header names one";
    return error;
  }

  void keep(raft::Entry entry) {
    tail_->state.add({entry.index, entry.term});
    info_.highest_entry = std::max(info_.highest_entry, entry.index);
    auto& entries = recovered_->entries;
    // Also drops everything when the log had restarted: then the next entry does not follow the last one
    // kept.
    while (!entries.empty() && entries.back().index >= entry.index) entries.pop_back();
    if (!entries.empty() && entries.back().index + 1 != entry.index) entries.clear();
    entries.push_back(std::move(entry));
  }

  // A bad batch at the end of the log: torn, unless a later one was begun, which only happens once this one
  // is durable.
  Status judge_tail(Reader* reader, const SegmentHeader& header, const std::string& path, uint64_t at,
                    uint64_t number) {
    for (uint64_t later = at; later + kSector <= header.segment_bytes; later += kSector) {
      ByteView raw;
      BatchHeader batch;
      if (Status s = reader->at(later, kSector, &raw); !s) return unreadable(path, later, s);
      if (!decode_batch_header(raw, header.salt, &batch) || batch.offset != later) continue;
      if (batch.number > number)
        return wrong(path, at,
                     "batch " + std::to_string(number) + " is damaged, but batch " +
                         std::to_string(batch.number) + " follows it");
      if (later == at) recovered_->torn_tail = TornTail{path, at};
    }
    return {};
  }

  // What is to be kept must be there: everything between the start and the end of the log.
  Status check_whole() {
    trim();
    const TermRuns& terms = tail_->state.terms;
    auto& entries = recovered_->entries;
    if (entries.size() == terms.last().index - terms.start().index &&
        (entries.empty() || entries.back().index == terms.last().index))
      return {};
    return wrong(directory_.segment_path(headers_.front().sequence), 0,
                 "the entries behind index " + std::to_string(terms.start().index.value) +
                     " are missing: the log's oldest segment is gone");
  }

  // Entries that the state does not count: released ones, and those of a log that restarted.
  void trim() {
    const TermRuns& terms = tail_->state.terms;
    auto& entries = recovered_->entries;
    if (!entries.empty() && entries.back().index != terms.last().index) entries.clear();
    auto kept = std::find_if(entries.begin(), entries.end(),
                             [&](const raft::Entry& e) { return e.index > terms.start().index; });
    entries.erase(entries.begin(), kept);
  }

  void finish() {
    trim();
    const LogState& state = tail_->state;
    recovered_->metadata = state.metadata;
    recovered_->hard_state = state.hard_state;
    recovered_->members = state.members;
    recovered_->base = state.base;
    recovered_->start = state.terms.start();
    recovered_->last = state.terms.last();
    recovered_->next_batch = tail_->next_batch;
    if (!headers_.empty()) tail_->header = std::move(headers_.back());
    tail_->header.state = {};
  }

  const SegmentDirectory& directory_;
  Recovered* recovered_;
  Tail* tail_;
  std::vector<SegmentHeader> headers_;
  SegmentInfo info_;
};

}  // namespace

Status read_log(const SegmentDirectory& directory, const std::vector<uint64_t>& sequences,
                Recovered* recovered, Tail* tail) {
  return LogReader(directory, recovered, tail).read(sequences);
}

}  // namespace quorate::wal
