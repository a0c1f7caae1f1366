// The vocabulary that crosses the boundary between the host and a plugin.
//
// Only what is laid out here may cross: fixed-width integers, enums of fixed type, ByteView, View<T>, PODs
// that begin with `struct_size`, a ref-counted Buffer and a 16-byte Status. Never an STL type, a smart
// pointer or an exception: the two sides may be built by different compilers, standard libraries and with
// other debug settings.
//
// Threads: every method in the SDK carries a tag.
//   [thread-safe]  may be called from any thread at any time
//   [serial]       never by two threads at once; the thread may change between calls
//   [loop]         only on the loop that owns the object (for a session: its connection's loop)
//   [no-block]     must not wait for I/O, locks held over I/O or other threads
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace quorate::plugin {

// ---- Views
// ---------------------------------------------------------------------------------------------------

// A borrowed run of bytes: valid for the call it is passed to unless the method says otherwise.
struct ByteView {
  const uint8_t* data = nullptr;
  uint64_t size = 0;

  constexpr ByteView() = default;
  constexpr ByteView(const uint8_t* d, uint64_t n) : data(d), size(n) {}
  ByteView(const char* d, uint64_t n) : data(reinterpret_cast<const uint8_t*>(d)), size(n) {}
  const char* chars() const { return reinterpret_cast<const char*>(data); }
  bool empty() const { return size == 0; }
};
static_assert(sizeof(ByteView) == 16 && std::is_trivially_copyable_v<ByteView>);

// A borrowed run of elements. The element is never a struct that begins with struct_size.
template <typename T>
struct View {
  const T* data = nullptr;
  uint64_t size = 0;

  constexpr View() = default;
  constexpr View(const T* d, uint64_t n) : data(d), size(n) {}
  const T* begin() const { return data; }
  const T* end() const { return data + size; }
  const T& operator[](uint64_t i) const { return data[i]; }
  bool empty() const { return size == 0; }
};
static_assert(sizeof(View<int>) == 16);

// ---- Buffer
// --------------------------------------------------------------------------------------------------

// The header of a shared run of bytes. Whoever made it supplies `free`, which is called once, on any thread,
// when the last reference goes; so memory always returns to the allocator it came from.
struct BufferControl {
  std::atomic<uint32_t> references{1};
  uint32_t reserved = 0;
  void (*free)(BufferControl*) noexcept = nullptr;
};
static_assert(sizeof(BufferControl) == 16);

// A slice of shared, immutable bytes. Copying adds a reference [thread-safe]; a Buffer without a control
// block refers to bytes that outlive the process' use of them (static data).
class Buffer {
 public:
  constexpr Buffer() = default;
  // Takes over one reference to `control`.
  Buffer(BufferControl* control, const uint8_t* data, uint64_t size)
      : control_(control), data_(data), size_(size) {}
  Buffer(const Buffer& o) : control_(o.control_), data_(o.data_), size_(o.size_) { acquire(); }
  Buffer(Buffer&& o) noexcept : control_(std::exchange(o.control_, nullptr)), data_(o.data_), size_(o.size_) {
    o.data_ = nullptr;
    o.size_ = 0;
  }
  Buffer& operator=(Buffer o) noexcept {
    std::swap(control_, o.control_);
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Buffer() {
    if (control_ != nullptr && control_->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      control_->free(control_);
  }

  // Fresh bytes, to be filled through `fill` before the buffer is shared.
  static Buffer allocate(uint64_t size, uint8_t** fill) {
    void* memory = ::operator new(sizeof(BufferControl) + size);
    auto* control = new (memory) BufferControl;
    control->free = [](BufferControl* c) noexcept {
      c->~BufferControl();
      ::operator delete(c);
    };
    *fill = static_cast<uint8_t*>(memory) + sizeof(BufferControl);
    return Buffer(control, *fill, size);
  }
  static Buffer copy_of(ByteView bytes) {
    uint8_t* fill = nullptr;
    Buffer b = allocate(bytes.size, &fill);
    if (bytes.size != 0) std::memcpy(fill, bytes.data, bytes.size);
    return b;
  }
  // A part of this buffer that shares its bytes. REQUIRES: offset + size <= this->size().
  Buffer slice(uint64_t offset, uint64_t size) const {
    acquire();
    return Buffer(control_, data_ + offset, size);
  }

  const uint8_t* data() const { return data_; }
  const char* chars() const { return reinterpret_cast<const char*>(data_); }
  uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteView view() const { return {data_, size_}; }

 private:
  void acquire() const {
    if (control_ != nullptr) control_->references.fetch_add(1, std::memory_order_relaxed);
  }
  BufferControl* control_ = nullptr;
  const uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
};
static_assert(sizeof(Buffer) == 24);

// ---- Status
// --------------------------------------------------------------------------------------------------

enum class Code : uint32_t {
  kOk = 0,
  kRetryable = 1,    // nothing happened, the handle is still good, the same call may succeed later
  kNoSpace = 2,      // no room on the disk
  kIo = 3,           // the device failed
  kCorruption = 4,   // bytes are not what was written; the message says where
  kViewExpired = 5,  // a read view outlived what it looks at; take a new one
  kNotFound = 6,
  kInvalid = 7,       // the caller's arguments or options are wrong
  kBusy = 8,          // someone else holds it (a lock file)
  kIncompatible = 9,  // another version, engine or format
  kUnsupported = 10,
  kInternal = 11,  // a bug; an exception that a plugin let escape arrives as this
};

// An outcome: a code and, unless ok, a text for people. 16 bytes; the text is ref-counted and its deleter
// travels with it. Moves across the boundary by value.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  explicit Status(Code code) : code_(code) {}
  Status(Code code, const char* text, uint64_t size) : code_(code) {
    void* memory = ::operator new(sizeof(Text) + size + 1, std::nothrow);
    if (memory == nullptr) return;
    auto* t = new (memory) Text;
    t->control.free = [](BufferControl* c) noexcept { ::operator delete(static_cast<void*>(c)); };
    t->size = size;
    char* chars = static_cast<char*>(memory) + sizeof(Text);
    std::memcpy(chars, text, size);
    chars[size] = 0;
    text_ = t;
  }
  Status(Code code, const char* text) : Status(code, text, std::strlen(text)) {}
  // Anything with data() and size() of chars, such as a std::string of the caller's own library.
  template <typename S, typename = decltype(std::declval<const S&>().data(), std::declval<const S&>().size())>
  Status(Code code, const S& s) : Status(code, s.data(), s.size()) {}
  Status(const Status& o) : code_(o.code_), flags_(o.flags_), text_(o.text_) {
    if (text_ != nullptr) text_->control.references.fetch_add(1, std::memory_order_relaxed);
  }
  Status(Status&& o) noexcept : code_(o.code_), flags_(o.flags_), text_(std::exchange(o.text_, nullptr)) {}
  Status& operator=(Status o) noexcept {
    code_ = o.code_;
    flags_ = o.flags_;
    std::swap(text_, o.text_);
    return *this;
  }
  ~Status() {
    if (text_ != nullptr && text_->control.references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      text_->control.free(&text_->control);
  }

  bool ok() const { return code_ == Code::kOk; }
  explicit operator bool() const { return ok(); }
  Code code() const { return code_; }
  // NUL-terminated; never null.
  const char* text() const { return text_ == nullptr ? "" : reinterpret_cast<const char*>(text_ + 1); }
  uint64_t text_size() const { return text_ == nullptr ? 0 : text_->size; }

 private:
  struct Text {
    BufferControl control;
    uint64_t size = 0;
  };
  Code code_ = Code::kOk;
  uint32_t flags_ = 0;
  Text* text_ = nullptr;
};
static_assert(sizeof(Status) == 16);

// The name of a code, for messages: "no_space".
inline const char* code_name(Code code) {
  constexpr const char* kNames[] = {"ok",         "retryable",    "no_space",    "io",
                                    "corruption", "view_expired", "not_found",   "invalid",
                                    "busy",       "incompatible", "unsupported", "internal"};
  auto i = static_cast<uint32_t>(code);
  return i < sizeof kNames / sizeof *kNames ? kNames[i] : "unknown";
}

// ---- Objects
// -------------------------------------------------------------------------------------------------

// The root of every object that crosses the boundary, the host's too. Ref-counted [thread-safe]; born with
// one reference. Released interfaces never grow: a new ability is a new small interface with an id of its
// own, such as "quorate.storage.checkpoint/1", asked for with query(). Until the first release tag ids end in
// "/draft".
class Object {
 public:
  virtual void retain() noexcept = 0;   // [thread-safe]
  virtual void release() noexcept = 0;  // [thread-safe] the last one destroys the object
  // [thread-safe] The interface `id` of this object, or null. The pointer is of the interface's own type; it
  // lives as long as the object and carries no reference of its own.
  virtual void* query(const char* id) noexcept = 0;

 protected:
  ~Object() = default;
};

// A counted reference to an Object. Never crosses the boundary itself: parameters are plain pointers, which
// are borrowed for the call; an `T** out` gives the caller one reference.
template <typename T>
class Ref {
 public:
  constexpr Ref() = default;
  constexpr Ref(std::nullptr_t) {}
  // Takes over the caller's reference.
  static Ref adopt(T* p) {
    Ref r;
    r.p_ = p;
    return r;
  }
  // Adds a reference.
  static Ref share(T* p) {
    if (p != nullptr) p->retain();
    return adopt(p);
  }
  Ref(const Ref& o) : p_(o.p_) {
    if (p_ != nullptr) p_->retain();
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <typename U, typename = std::enable_if_t<std::is_convertible_v<U*, T*>>>
  Ref(Ref<U> o) : p_(o.detach()) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_ != nullptr) p_->release();
  }
  void reset() { *this = Ref(); }

  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  // Gives the reference away.
  T* detach() { return std::exchange(p_, nullptr); }
  // For an `T** out` parameter. REQUIRES: empty.
  T** out() { return &p_; }

 private:
  T* p_ = nullptr;
};

// The reference counting of an implementation: class MyStore final : public Counted<Store> { ... }.
// Interfaces are listed by overriding query(); the default offers none.
template <typename Interface>
class Counted : public Interface {
 public:
  void retain() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept override {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  void* query(const char*) noexcept override { return nullptr; }

 protected:
  virtual ~Counted() = default;

 private:
  std::atomic<uint32_t> references_{1};
};

template <typename T, typename... Args>
Ref<T> make(Args&&... args) {
  return Ref<T>::adopt(new T(std::forward<Args>(args)...));
}

// Runs `body` (returning Status) and turns an exception of the plugin's own library into a Status. Compiled
// into the plugin, so that no exception ever meets the boundary.
template <typename F>
Status guarded(F&& body) noexcept;

}  // namespace quorate::plugin

#include <exception>

namespace quorate::plugin {

template <typename F>
Status guarded(F&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status(Code::kRetryable, "out of memory");
  } catch (const std::exception& e) {
    return Status(Code::kInternal, e.what());
  } catch (...) {
    return Status(Code::kInternal, "an exception of unknown type");
  }
}

}  // namespace quorate::plugin
