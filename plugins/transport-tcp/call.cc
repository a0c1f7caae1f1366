#include "call.h"

namespace quorate::tcp {

void Call::reset_call() {
  id = 0;
  in.reset();
  credit = 1;
  block = plugin::Buffer();
  metadata.clear();
  remote_closed = half_close_told = headers_told = discarding = false;
  first_block.clear();
  block_wanted = false;
  out.clear();
  window_bytes = window_messages = 0;
  finishing = end_sent = above_mark = false;
  ended = in_deferred_list = wants_pump = wants_writable = false;
  accounted = 0;
  has_local_end = false;
  local_cause = plugin::EndCause::kFinished;
  local_code = 0;
  local_text.clear();
}

Call* CallTable::find(uint32_t id) const {
  if (size_ == 0) return nullptr;
  const uint64_t mask = slots_.size() - 1;
  for (uint64_t at = place(id); slots_[at] != nullptr; at = (at + 1) & mask) {
    if (slots_[at]->id == id) return slots_[at];
  }
  return nullptr;
}

void CallTable::insert(Call* call) {
  if ((size_ + 1) * 2 > slots_.size()) grow();
  const uint64_t mask = slots_.size() - 1;
  uint64_t at = place(call->id);
  while (slots_[at] != nullptr) at = (at + 1) & mask;
  slots_[at] = call;
  ++size_;
}

void CallTable::grow() {
  std::vector<Call*> old;
  old.swap(slots_);
  slots_.resize(old.empty() ? 16 : old.size() * 2);
  shift_ = old.empty() ? 60 : shift_ - 1;
  size_ = 0;
  for (Call* call : old) {
    if (call != nullptr) insert(call);
  }
}

// What follows without a gap moves up, so that no search stops too early.
void CallTable::erase(uint32_t id) {
  const uint64_t mask = slots_.size() - 1;
  uint64_t hole = place(id);
  while (slots_[hole] != nullptr && slots_[hole]->id != id) hole = (hole + 1) & mask;
  if (slots_[hole] == nullptr) return;
  for (uint64_t at = (hole + 1) & mask; slots_[at] != nullptr; at = (at + 1) & mask) {
    const uint64_t home = place(slots_[at]->id);
    if (((at - home) & mask) < ((at - hole) & mask)) continue;  // it lies between its home and the hole
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = nullptr;
  --size_;
}

}  // namespace quorate::tcp
