#include "engine/onnxruntime/cuda/device_code.h"

#include <dlfcn.h>
#include <elf.h>
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "engine/onnxruntime/file_bytes.h"

namespace tessera::engine {
namespace {

using Bits = std::span<const std::byte>;

// The section holds containers, each for one set of kernels; a container holds images, each for one architecture.
// scripts/trim_fatbin.py knows the same.
constexpr std::string_view kSection = ".nv_fatbin";
constexpr std::uint32_t kContainerMagic = 0xBA55ED50;
constexpr std::size_t kContainerAlignment = 8;
constexpr std::uint16_t kPtx = 1;
constexpr std::uint16_t kMachineCode = 2;

struct Container {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t header;  // bytes of this one
  std::uint64_t size;    // of the images behind it
};
struct Image {
  std::uint16_t kind;
  std::uint16_t version;
  std::uint32_t header;
  std::uint64_t size;  // of the code behind it
  std::uint32_t unused[3];
  std::uint32_t architecture;
};
static_assert(sizeof(Container) == 16 && sizeof(Image) == 32);

template <typename T>
std::optional<T> read(Bits from, std::uint64_t at) {
  if (at > from.size() || from.size() - at < sizeof(T)) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, from.data() + at, sizeof(T));
  return value;
}

// Nothing where there is none.
Bits part(Bits of, std::uint64_t at, std::uint64_t size) {
  return at > of.size() || size > of.size() - at ? Bits{} : of.subspan(at, size);
}

Bits device_section(Bits file) {
  const auto head = read<Elf64_Ehdr>(file, 0);
  if (!head || std::memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64) {
    return {};
  }
  const auto section = [&](std::uint64_t number) {
    return read<Elf64_Shdr>(file, head->e_shoff + number * head->e_shentsize);
  };
  const auto names = section(head->e_shstrndx);
  for (std::uint64_t i = 0; names && i < head->e_shnum; ++i) {
    const auto one = section(i);
    const Bits name = one ? part(file, names->sh_offset + one->sh_name, kSection.size() + 1) : Bits{};
    if (!name.empty() && std::memcmp(name.data(), kSection.data(), name.size()) == 0) {
      return part(file, one->sh_offset, one->sh_size);
    }
  }
  return {};
}

// The first bytes of code are never all zero.
bool is_there(Bits code) {
  constexpr std::size_t kLook = 64;
  const Bits begin = code.first(std::min(code.size(), kLook));
  return std::any_of(begin.begin(), begin.end(), [](std::byte one) { return one != std::byte{0}; });
}

bool runs(const Image& image, int architecture) {
  const auto of = static_cast<int>(image.architecture);
  return of <= architecture && (image.kind == kPtx || (image.kind == kMachineCode && of / 10 == architecture / 10));
}

std::string dotted(int architecture) {
  return std::to_string(architecture / 10) + "." + std::to_string(architecture % 10);
}

}  // namespace

DeviceCode device_code_for(int architecture, std::span<const std::byte> library) {
  const Bits section = device_section(library);
  std::set<int> others;
  for (std::uint64_t at = 0; at < section.size();) {
    const auto container = read<Container>(section, at);
    if (!container || container->magic != kContainerMagic) {
      at += kContainerAlignment;
      continue;
    }
    const Bits images = part(section, at + container->header, container->size);
    for (std::uint64_t in = 0; in < images.size();) {
      const auto image = read<Image>(images, in);
      if (!image || image->header < sizeof(Image)) {
        return {.runs = false, .others = {}};  // not understood
      }
      if (is_there(part(images, in + image->header, image->size))) {
        if (runs(*image, architecture)) {
          return {.runs = true, .others = {}};
        }
        others.insert(static_cast<int>(image->architecture));
      }
      in += image->header + image->size;
    }
    at += container->header + images.size();
  }
  return {.runs = false, .others = {others.begin(), others.end()}};
}

std::filesystem::path provider_file() {
  Dl_info about{};
  // What it gives lies in that library; its own address may be a stub of this program's.
  if (::dladdr(OrtGetApiBase(), &about) == 0 || about.dli_fname == nullptr) {
    return {};
  }
  return std::filesystem::path(about.dli_fname).parent_path() / "libonnxruntime_providers_cuda.so";
}

Status check_architecture(const device::Gpu& gpu, const std::filesystem::path& provider) {
  const std::string card = gpu.name() + " is of architecture " + dotted(gpu.architecture());
  if (gpu.architecture() < kOldestArchitecture) {
    return unavailable(card + ", and " + dotted(kOldestArchitecture) + " or newer is needed: use --device host");
  }
  const auto file = FileBytes::map(provider);
  if (!file.ok()) {
    return ok_status();  // check_provider() says so
  }
  const DeviceCode code = device_code_for(gpu.architecture(), file->bytes());
  if (code.runs || code.others.empty()) {
    return ok_status();
  }
  std::string others;
  for (const int other : code.others) {
    others += (others.empty() ? "" : ", ") + dotted(other);
  }
  return unavailable("this build has code for GPUs of architecture " + others + ", and " + card +
                     ": make a bundle for it with scripts/gpu-bundle " + std::to_string(gpu.architecture()));
}

Status check_first_run(const device::Gpu& gpu, const Error& failure) {
  // The driver's words for CUDA_ERROR_NO_BINARY_FOR_GPU, and the names of its own that cuDNN and cuBLAS give it.
  for (const char* words : {"no kernel image", "NO_BINARY_FOR_GPU", "ARCH_MISMATCH"}) {
    if (failure.message().find(words) != std::string::npos) {
      return unavailable("the host's cuDNN or cuBLAS has no code for " + gpu.name() + ", which is of architecture " +
                         dotted(gpu.architecture()) + ": install versions for CUDA 13 that do, or use --device host");
    }
  }
  return ok_status();
}

}  // namespace tessera::engine
