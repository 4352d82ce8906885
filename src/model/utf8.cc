#include "model/utf8.h"

#include <cstddef>

namespace tessera::model {
namespace {

// Length of the sequence that starts with `lead`, and the bounds of its second byte; length 0 for what cannot start
// one.
struct Sequence {
  std::size_t length;
  unsigned char low;
  unsigned char high;
};

Sequence sequence_of(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead >= 0xC2 && lead <= 0xDF) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
    const Sequence sequence = sequence_of(byte(0));
    if (sequence.length == 0 || bytes.size() - at < sequence.length) {
      return false;
    }
    for (std::size_t i = 1; i < sequence.length; ++i) {
      const unsigned char low = i == 1 ? sequence.low : 0x80;
      const unsigned char high = i == 1 ? sequence.high : 0xBF;
      if (byte(i) < low || byte(i) > high) {
        return false;
      }
    }
    at += sequence.length;
  }
  return true;
}

}  // namespace tessera::model
