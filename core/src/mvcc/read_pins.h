// Which revisions running reads look at: physical removal stops below the oldest.
#pragma once

#include <cstdint>
#include <memory>
#include <set>

namespace quorate::mvcc {

// [loop]. A pin may outlive the store (an operation that was dropped with the loop's queue).
class ReadPins {
 public:
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&&) noexcept = default;
    Pin& operator=(Pin&& o) noexcept {
      release();
      pins_ = std::move(o.pins_);
      at_ = o.at_;
      return *this;
    }
    ~Pin() { release(); }
    void release() {
      if (pins_ != nullptr) pins_->erase(at_);
      pins_.reset();
    }

   private:
    friend class ReadPins;
    std::shared_ptr<std::multiset<int64_t>> pins_;
    std::multiset<int64_t>::iterator at_;
  };

  // What a read at `revision` sees stays until the pin goes.
  Pin pin(int64_t revision) {
    Pin p;
    p.pins_ = revisions_;
    p.at_ = revisions_->insert(revision);
    return p;
  }
  int64_t oldest() const { return revisions_->empty() ? INT64_MAX : *revisions_->begin(); }

 private:
  std::shared_ptr<std::multiset<int64_t>> revisions_ = std::make_shared<std::multiset<int64_t>>();
};

}  // namespace quorate::mvcc
