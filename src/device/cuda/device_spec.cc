#include "device/cuda/device_spec.h"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace tessera::device {
namespace {

constexpr std::string_view kPrefix = "cuda:";
constexpr int kMostGpus = 256;
constexpr int kMostAtoms = 1024;

// Digits at the front of `text`, which loses them.
std::optional<int> take_number(std::string_view& text, int limit) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || text.front() == '-' || value >= limit) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) {
    return false;
  }
  text.remove_prefix(expected.size());
  return true;
}

std::optional<CudaDeviceSpec> parse_one(std::string_view text) {
  CudaDeviceSpec spec;
  if (!take(text, kPrefix)) {
    return std::nullopt;
  }
  const auto gpu = take_number(text, kMostGpus);
  if (!gpu) {
    return std::nullopt;
  }
  spec.gpu = *gpu;
  if (text.empty()) {
    return spec;
  }
  const auto first = take(text, "/") ? take_number(text, kMostAtoms) : std::nullopt;
  auto last = first;
  if (first && take(text, "-")) {
    last = take_number(text, kMostAtoms);
  }
  if (!first || !last || *last < *first || !text.empty()) {
    return std::nullopt;
  }
  spec.atoms = Slice{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last - *first + 1)};
  return spec;
}

bool share(const CudaDeviceSpec& a, const CudaDeviceSpec& b) {
  return a.gpu == b.gpu && (!a.atoms || !b.atoms || a.atoms->overlaps(*b.atoms));
}

}  // namespace

std::string to_string(const CudaDeviceSpec& spec) {
  std::string text = std::string(kPrefix) + std::to_string(spec.gpu);
  if (spec.atoms) {
    text += "/" + std::to_string(spec.atoms->first);
    if (spec.atoms->count > 1) {
      text += "-" + std::to_string(spec.atoms->end() - 1);
    }
  }
  return text;
}

Result<std::vector<CudaDeviceSpec>> parse_cuda_devices(std::string_view text) {
  std::vector<CudaDeviceSpec> specs;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    const std::string_view one = text.substr(0, comma);
    text.remove_prefix(more ? comma + 1 : text.size());
    const auto spec = parse_one(one);
    if (!spec) {
      return invalid_argument("'" + std::string(one) +
                              "' is no GPU device: cuda:N, or cuda:N/FIRST-LAST for some atoms");
    }
    for (const CudaDeviceSpec& other : specs) {
      if (share(*spec, other)) {
        return invalid_argument(to_string(*spec) + " and " + to_string(other) + " share processors");
      }
    }
    specs.push_back(*spec);
  }
  return specs;
}

}  // namespace tessera::device
