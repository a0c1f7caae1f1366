#include "support/fake_connection.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace quorate::test {

using plugin::CloseMode;
using plugin::Status;

FakeConnection::FakeConnection(plugin::TransportLimits limits, uint64_t id) : limits_(limits) {
  info_.id = id;
  info_.limits = &limits_;
  info_.local_address = {"127.0.0.1:2379", 14};
  info_.remote_address = {"127.0.0.1:50000", 15};
}

void FakeConnection::send(plugin::View<plugin::Buffer> bytes) noexcept {
  ++sends_;
  for (const plugin::Buffer& b : bytes) {
    outgoing_.emplace_back(b.empty() ? "" : b.chars(), b.size());
    outgoing_size_ += b.size();
    if (b.size() >= 4096) shared_bytes_ += b.size();
  }
  if (limits_.send_mark != 0 && outgoing_size_ > limits_.send_mark / 2) above_mark_ = true;
}

bool FakeConnection::charge(int64_t bytes) noexcept {
  charged_ += bytes;
  EXPECT_GE(charged_, 0) << "more was given back than charged";
  peak_charge_ = std::max(peak_charge_, charged_);
  return charged_ <= budget_;
}

void FakeConnection::close(CloseMode mode) noexcept {
  close_asked_ = true;
  if (mode == CloseMode::kAbort) aborted_ = true;
}

void FakeConnection::attach(plugin::Session* session) {
  session_ = plugin::Ref<plugin::Session>::adopt(session);
}

bool FakeConnection::check(const Status& status) {
  in_session_ = false;
  if (status.ok()) return true;
  failure_ = status.text();
  if (!closed_) lose(status.text());
  return false;
}

bool FakeConnection::feed(std::string_view bytes, uint64_t piece) {
  while (!bytes.empty()) {
    if (closed_ || close_asked_) return false;
    uint64_t size = std::min<uint64_t>(piece, bytes.size());
    // A copy of its own, so that a session that keeps a view is found out.
    std::vector<uint8_t> copy(bytes.begin(), bytes.begin() + static_cast<int64_t>(size));
    bytes.remove_prefix(size);
    if (!check(session_->on_data({copy.data(), copy.size()}))) return false;
  }
  return true;
}

bool FakeConnection::eof() { return !closed_ && check(session_->on_eof()); }

bool FakeConnection::turn() {
  for (int i = 0; flush_requested_ && !closed_; ++i) {
    EXPECT_LT(i, 100'000) << "a session that asks for a flush for ever";
    if (i >= 100'000) return false;
    flush_requested_ = false;
    if (!check(session_->on_flush())) return false;
  }
  return !closed_;
}

std::string FakeConnection::take(uint64_t most) {
  std::string out;
  while (!outgoing_.empty() && out.size() < most) {
    std::string& first = outgoing_.front();
    uint64_t size = std::min<uint64_t>(first.size(), most - out.size());
    out.append(first, 0, size);
    if (size == first.size()) {
      outgoing_.pop_front();
    } else {
      first.erase(0, size);
    }
  }
  outgoing_size_ -= out.size();
  if (above_mark_ && outgoing_size_ <= limits_.send_mark / 2) {
    above_mark_ = false;
    if (!closed_) check(session_->on_writable());
  }
  return out;
}

void FakeConnection::advance(uint64_t ns) {
  const uint64_t until = now_ + ns;
  while (armed_ != 0 && armed_ <= until && !closed_) {
    now_ = std::max(now_, armed_);
    armed_ = 0;
    if (!check(session_->on_timer(now_))) break;
    turn();
  }
  now_ = until;
}

void FakeConnection::lose(const char* why) {
  if (closed_) return;
  closed_ = true;
  session_->on_closed(Status(plugin::Code::kIo, why));
  EXPECT_EQ(charged_, 0) << "memory is still charged after on_closed";
}

void carry(FakeConnection* a, FakeConnection* b, std::mt19937_64* random) {
  auto most = [&] { return random == nullptr ? UINT64_MAX : 1 + (*random)() % 2000; };
  for (int quiet = 0; quiet < 3;) {
    a->turn();
    b->turn();
    std::string from_a = a->take(most());
    std::string from_b = b->take(most());
    quiet = from_a.empty() && from_b.empty() ? quiet + 1 : 0;
    b->feed(from_a, most());
    a->feed(from_b, most());
  }
}

}  // namespace quorate::test
