#include "wal/segments.h"

#include <algorithm>

namespace quorate::wal {

using plugin::ByteView;
using plugin::Ref;

namespace {

constexpr uint64_t kZeroBlock = 256 << 10;
constexpr uint64_t kZeroFront = kZeroGap + (64 << 10);  // of a new file: a usual header, and what follows

class Names final : public plugin::NameSink {
 public:
  void name(ByteView n) noexcept override { all.emplace_back(n.chars(), n.size); }
  std::vector<std::string> all;
};

bool is_zero(const std::vector<uint8_t>& bytes, uint64_t n) {
  return std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n),
                     [](uint8_t b) { return b == 0; });
}

}  // namespace

Status SegmentDirectory::lock(Ref<File>* out) const {
  return files_->lock((directory_ + "/lock").c_str(), out->out());
}

Status SegmentDirectory::list(std::vector<uint64_t>* segments, std::vector<uint64_t>* spares) const {
  Names names;
  if (Status s = files_->list(directory_.c_str(), &names); !s) return s;
  for (auto& name : names.all) {
    if (auto sequence = segment_sequence(name)) segments->push_back(*sequence);
    if (auto number = spare_number(name)) spares->push_back(*number);
  }
  std::sort(segments->begin(), segments->end());
  std::sort(spares->begin(), spares->end());
  return {};
}

Status SegmentDirectory::make_spare(uint64_t number, uint64_t bytes) const {
  std::string path = spare_path(number);
  Ref<File> file;
  Status s = files_->open(path.c_str(), plugin::kOpenWrite | plugin::kOpenCreate, file.out());
  if (!s) return s;
  s = file->allocate(bytes);
  if (s && zeros_) {
    const std::vector<uint8_t> zeros(std::min(bytes, kZeroFront));
    s = file->write_at(0, {zeros.data(), zeros.size()});
  }
  if (s) s = sync(file.get());
  if (s) return s;
  file.reset();
  (void)files_->remove(path.c_str());  // recovery drops a spare of the wrong size, should this fail as well
  return s;
}

Status SegmentDirectory::install(uint64_t spare, SegmentHeader* header, Ref<File>* out) const {
  std::string from = spare_path(spare);
  std::string to = segment_path(header->sequence);
  random_->fill(&header->salt, sizeof header->salt);
  std::vector<uint8_t> bytes = encode_segment_header(header);
  Ref<File> file;
  if (Status s = files_->open(from.c_str(), plugin::kOpenWrite, file.out()); !s) return s;
  if (Status s = file->write_at(0, {bytes.data(), bytes.size()}); !s) return s;
  if (Status s = sync(file.get()); !s) return s;
  if (Status s = files_->rename(from.c_str(), to.c_str()); !s) return s;
  if (Status s = sync_directory(); !s) return s;
  return files_->open(to.c_str(), plugin::kOpenWrite,
                      out->out());  // anew, so that its errors name the segment
}

Status SegmentDirectory::recycle(uint64_t sequence, uint64_t spare) const {
  if (Status s = files_->rename(segment_path(sequence).c_str(), spare_path(spare).c_str()); !s) return s;
  return sync_directory();
}

Status SegmentDirectory::remove_segment(uint64_t sequence) const {
  if (Status s = files_->remove(segment_path(sequence).c_str()); !s) return s;
  return sync_directory();
}

Status SegmentDirectory::remove_spare(uint64_t number) const {
  return files_->remove(spare_path(number).c_str());
}

Status SegmentDirectory::zeros(uint64_t sequence, uint64_t from, uint64_t to, bool always) const {
  Ref<File> file;
  if (Status s = files_->open(segment_path(sequence).c_str(), plugin::kOpenWrite, file.out()); !s) return s;
  std::vector<uint8_t> found(kZeroBlock);
  const std::vector<uint8_t> zeros(kZeroBlock);
  bool wrote = false;
  for (uint64_t at = from; at < to; at += kZeroBlock) {
    uint64_t n = std::min(kZeroBlock, to - at);
    uint64_t got = 0;
    if (!always) {
      if (Status s = file->read_at(at, found.data(), n, &got); !s) return s;
      if (is_zero(found, got)) continue;
    }
    if (Status s = file->write_at(at, {zeros.data(), n}); !s) return s;
    wrote = true;
  }
  return wrote ? sync(file.get()) : Status();
}

}  // namespace quorate::wal
