#include "host/loader_elf.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace quorate::host {
namespace {

using plugin::Status;

constexpr uint64_t kMostNames = 1u << 20;  // bytes of section names

class ElfFile {
 public:
  ElfFile(const std::string& path, int fd) : path_(path), fd_(fd) {}

  // Finds .quorate.plugin. The answer's range lies within the file.
  Status find_section(Elf64_Shdr* out) {
    Status status = read_header();
    if (!status.ok()) return status;
    std::vector<char> names;
    status = read_names(&names);
    if (!status.ok()) return status;
    constexpr size_t kLength = sizeof plugin::kSection;  // with its NUL
    bool found = false;
    for (uint32_t i = 0; i < header_.e_shnum; ++i) {
      Elf64_Shdr section{};
      status = read_section(i, &section);
      if (!status.ok()) return status;
      if (section.sh_name >= names.size()) return damaged("the name of section " + std::to_string(i));
      if (names.size() - section.sh_name < kLength) continue;
      if (std::memcmp(names.data() + section.sh_name, plugin::kSection, kLength) != 0) continue;
      if (found) return damaged("two sections .quorate.plugin");
      if (section.sh_type != SHT_PROGBITS || !is_inside(section.sh_offset, section.sh_size))
        return damaged("section .quorate.plugin is not within the file");
      found = true;
      *out = section;
    }
    return found ? Status() : refuse(Refusal::kNoDescriptor, path_);
  }

  Status read(uint64_t offset, void* into, uint64_t size, const char* what) {
    if (!is_inside(offset, size)) return damaged(what);
    auto* to = static_cast<uint8_t*>(into);
    while (size != 0) {
      ssize_t n = pread(fd_, to, size, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return damaged(what);  // cut off meanwhile
      to += n;
      offset += static_cast<uint64_t>(n);
      size -= static_cast<uint64_t>(n);
    }
    return {};
  }

  std::string machine() const {
    switch (header_.e_machine) {
      case EM_X86_64:
        return "x86_64";
      case EM_AARCH64:
        return "aarch64";
      default:
        return "ELF machine " + std::to_string(header_.e_machine);
    }
  }

  Status damaged(const std::string& what) { return refuse(Refusal::kTruncated, path_, {what}); }

 private:
  bool is_inside(uint64_t offset, uint64_t size) const { return offset <= size_ && size <= size_ - offset; }

  Status read_header() {
    struct stat st {};
    if (fstat(fd_, &st) != 0) return refuse(Refusal::kCannotOpen, path_, {std::strerror(errno)});
    size_ = static_cast<uint64_t>(st.st_size);
    if (size_ < SELFMAG) return refuse(Refusal::kNotElf, path_);
    Status status = read(0, header_.e_ident, SELFMAG, "the ELF header");
    if (!status.ok()) return status;
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) return refuse(Refusal::kNotElf, path_);
    status = read(0, &header_, sizeof header_, "the ELF header");
    if (!status.ok()) return status;
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB ||
        header_.e_type != ET_DYN)
      return refuse(Refusal::kNotElf, path_);
    if (header_.e_shnum == 0 || header_.e_shoff == 0) return refuse(Refusal::kNoDescriptor, path_);
    if (header_.e_shentsize != sizeof(Elf64_Shdr) ||
        !is_inside(header_.e_shoff, uint64_t{header_.e_shnum} * sizeof(Elf64_Shdr)) ||
        header_.e_shstrndx >= header_.e_shnum)
      return damaged("the table of sections is not within the file");
    return {};
  }

  Status read_section(uint32_t index, Elf64_Shdr* out) {
    return read(header_.e_shoff + uint64_t{index} * sizeof(Elf64_Shdr), out, sizeof *out,
                "the table of sections");
  }

  Status read_names(std::vector<char>* out) {
    Elf64_Shdr section{};
    Status status = read_section(header_.e_shstrndx, &section);
    if (!status.ok()) return status;
    if (section.sh_type != SHT_STRTAB || !is_inside(section.sh_offset, section.sh_size) ||
        section.sh_size > kMostNames)
      return damaged("the names of the sections are not within the file");
    out->resize(section.sh_size);
    return read(section.sh_offset, out->data(), section.sh_size, "the names of the sections");
  }

  const std::string& path_;
  int fd_;
  uint64_t size_ = 0;
  Elf64_Ehdr header_{};
};

template <size_t N>
bool take_text(const char (&field)[N], std::string* out) {
  size_t n = strnlen(field, N);
  if (n == N) return false;
  for (size_t i = 0; i < n; ++i)
    if (field[i] < 0x21 || field[i] > 0x7e) return false;
  out->assign(field, n);
  return true;
}

}  // namespace

Status read_descriptor(const std::string& path, int fd, DescriptorInfo* out) {
  ElfFile elf(path, fd);
  Elf64_Shdr section{};
  Status status = elf.find_section(&section);
  if (!status.ok()) return status;
  out->machine = elf.machine();

  plugin::Descriptor d{};
  // Magic, size and ABI major are where they are in every version; the rest only in this one.
  constexpr uint64_t kPrefix = offsetof(plugin::Descriptor, abi_minor);
  if (section.sh_size < kPrefix) return elf.damaged("section .quorate.plugin is too short");
  status = elf.read(section.sh_offset, &d, kPrefix, "the descriptor");
  if (!status.ok()) return status;
  if (std::memcmp(d.magic, plugin::kMagic, sizeof d.magic) != 0) return refuse(Refusal::kBadMagic, path);
  if (d.abi_major != plugin::kAbiMajor)
    return refuse(Refusal::kOtherAbiMajor, path,
                  {std::to_string(d.abi_major), std::to_string(plugin::kAbiMajor)});
  if (d.struct_size != sizeof d || section.sh_size != sizeof d)
    return refuse(Refusal::kBadDescriptor, path,
                  {"it has " + std::to_string(section.sh_size) + " bytes and says " +
                   std::to_string(d.struct_size) + ", not " + std::to_string(sizeof d)});
  status = elf.read(section.sh_offset, &d, sizeof out->inline_bytes, "the descriptor");
  if (!status.ok()) return status;
  std::memcpy(out->inline_bytes, &d, sizeof out->inline_bytes);

  const char* bad = nullptr;
  if (!take_text(d.name, &out->name) || out->name.empty()) bad = "name";
  if (!take_text(d.version, &out->version) || out->version.empty()) bad = "version";
  if (!take_text(d.architecture, &out->architecture) || out->architecture.empty()) bad = "architecture";
  if (!take_text(d.sanitizer, &out->sanitizer)) bad = "sanitizer";
  if (d.kind != plugin::Kind::kStorage && d.kind != plugin::Kind::kTransport && d.kind != plugin::Kind::kAuth)
    bad = "kind";
  if (bad != nullptr) return refuse(Refusal::kBadDescriptor, path, {std::string("its field ") + bad});
  out->abi_major = d.abi_major;
  out->abi_minor = d.abi_minor;
  out->kind = d.kind;
  out->capabilities = d.capabilities;
  return {};
}

}  // namespace quorate::host
