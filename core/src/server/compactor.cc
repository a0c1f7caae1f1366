#include "server/compactor.h"

#include <algorithm>

namespace quorate::server {
namespace {

constexpr uint64_t kHour = 3'600'000'000'000;
constexpr uint64_t kRevisionInterval = 300'000'000'000;
constexpr uint64_t kTicksPerInterval = 10;

}  // namespace

Compactor::Compactor(Executor& executor, CompactionMode mode, int64_t retention, Hooks hooks)
    : executor_(executor), mode_(mode), retention_(retention), hooks_(std::move(hooks)) {}

Compactor::~Compactor() {
  *alive_ = false;
  executor_.cancel(timer_);
}

void Compactor::start() {
  if (retention_ <= 0) return;
  last_success_ns_ = executor_.clock().monotonic_ns();
  if (mode_ == CompactionMode::kRevision) return arm(kRevisionInterval);
  samples_.push_back(hooks_.revision());
  arm(std::min<uint64_t>(static_cast<uint64_t>(retention_), kHour) / kTicksPerInterval);
}

void Compactor::arm(uint64_t after_ns) {
  timer_ = executor_.at(executor_.clock().monotonic_ns() + after_ns, [this, after_ns] {
    if (mode_ == CompactionMode::kRevision) {
      tick_revision();
    } else {
      tick_periodic();
    }
    arm(after_ns);
  });
}

void Compactor::tick_periodic() {
  const auto period = static_cast<uint64_t>(retention_);
  const uint64_t interval = std::min(period, kHour);
  const int64_t target = samples_.front();
  const uint64_t since = executor_.clock().monotonic_ns() - last_success_ns_;
  if (hooks_.leading() && since >= (first_ ? period : interval) && target != last_revision_) {
    first_ = false;
    compact(target);
  }
  samples_.push_back(hooks_.revision());
  const uint64_t kept = period / (interval / kTicksPerInterval) + 1;
  while (samples_.size() > kept) samples_.pop_front();
}

void Compactor::tick_revision() {
  const int64_t target = hooks_.revision() - retention_;
  if (hooks_.leading() && target > 0 && target != last_revision_) compact(target);
}

void Compactor::compact(int64_t revision) {
  hooks_.compact(revision, [this, alive = alive_, revision](bool done) {
    if (!*alive || !done) return;  // asked again at the next tick
    last_revision_ = revision;
    last_success_ns_ = executor_.clock().monotonic_ns();
  });
}

}  // namespace quorate::server
