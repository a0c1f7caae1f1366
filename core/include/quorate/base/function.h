// A move-only callable; small ones are stored in place.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace quorate {

template <typename Signature>
class UniqueFunction;

template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
                                                    std::is_invocable_r_v<R, std::decay_t<F>&, Args...>>>
  UniqueFunction(F&& f) {
    using T = std::decay_t<F>;
    if constexpr (sizeof(T) <= sizeof space_ && alignof(T) <= alignof(std::max_align_t) &&
                  std::is_nothrow_move_constructible_v<T>) {
      new (space_) T(std::forward<F>(f));
      static constexpr Operations kInPlace = {
          [](void* s, Args... args) -> R { return (*static_cast<T*>(s))(std::forward<Args>(args)...); },
          [](void* from, void* to) noexcept {
            if (to != nullptr) new (to) T(std::move(*static_cast<T*>(from)));
            static_cast<T*>(from)->~T();
          }};
      operations_ = &kInPlace;
    } else {
      *reinterpret_cast<T**>(space_) = new T(std::forward<F>(f));
      static constexpr Operations kOnHeap = {
          [](void* s, Args... args) -> R { return (**static_cast<T**>(s))(std::forward<Args>(args)...); },
          [](void* from, void* to) noexcept {
            if (to != nullptr)
              *static_cast<T**>(to) = *static_cast<T**>(from);
            else
              delete *static_cast<T**>(from);
          }};
      operations_ = &kOnHeap;
    }
  }
  UniqueFunction(UniqueFunction&& o) noexcept { take(o); }
  UniqueFunction& operator=(UniqueFunction&& o) noexcept {
    if (this != &o) {
      reset();
      take(o);
    }
    return *this;
  }
  ~UniqueFunction() { reset(); }

  R operator()(Args... args) { return operations_->call(space_, std::forward<Args>(args)...); }
  explicit operator bool() const { return operations_ != nullptr; }

 private:
  struct Operations {
    R (*call)(void*, Args...);
    void (*move_or_destroy)(void* from, void* to) noexcept;  // to == null: destroy only
  };
  void take(UniqueFunction& o) noexcept {
    operations_ = std::exchange(o.operations_, nullptr);
    if (operations_ != nullptr) operations_->move_or_destroy(o.space_, space_);
  }
  void reset() {
    if (operations_ != nullptr) std::exchange(operations_, nullptr)->move_or_destroy(space_, nullptr);
  }

  alignas(std::max_align_t) std::byte space_[48];
  const Operations* operations_ = nullptr;
};

using Task = UniqueFunction<void()>;

}  // namespace quorate
