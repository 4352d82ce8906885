#include "server/http/body/content_coding.h"

#include <gtest/gtest.h>

#include <vector>

namespace tessera::server::http {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string pack(std::string_view text, Coding coding, std::size_t piece) {
  Deflater deflater(coding);
  std::string packed;
  for (std::size_t at = 0; at < text.size() || at == 0; at += piece) {
    deflater.write(bytes_of(text.substr(at, piece)), at + piece >= text.size(), packed);
  }
  return packed;
}

// What `packed` holds, given in pieces; the error's message where there is one.
std::string unpack(std::string_view packed, std::size_t piece, std::size_t room_size, std::size_t limit) {
  Inflater inflater(limit);
  std::vector<std::byte> room(room_size);
  std::string result;
  for (std::size_t at = 0; at < packed.size(); at += piece) {
    std::string_view part = packed.substr(at, piece);
    while (true) {
      const auto step = inflater.step(bytes_of(part), room);
      if (!step.ok()) {
        return step.error().message();
      }
      result.append(reinterpret_cast<const char*>(step->unpacked.data()), step->unpacked.size());
      part.remove_prefix(step->used);
      if (step->used == 0 && step->unpacked.empty()) {
        break;
      }
    }
  }
  return inflater.done() ? result : "unfinished";
}

std::string sample() {
  std::string text;
  for (int i = 0; i < 50'000; ++i) {
    text += std::to_string(i * 7919 % 1000) + ",";
  }
  return text;
}

TEST(ContentCoding, RoundTripsInPieces) {
  const std::string text = sample();
  for (const Coding coding : {Coding::kGzip, Coding::kDeflate}) {
    for (const std::size_t piece : {std::size_t{1000}, text.size()}) {
      const std::string packed = pack(text, coding, piece);
      EXPECT_LT(packed.size(), text.size());
      for (const std::size_t fed : {std::size_t{1}, std::size_t{999}, packed.size()}) {
        EXPECT_TRUE(unpack(packed, fed, 64, text.size()) == text);
        EXPECT_TRUE(unpack(packed, fed, 1 << 16, text.size()) == text);
      }
    }
  }
  EXPECT_EQ(unpack(pack("", Coding::kGzip, 1), 5, 64, 0), "");
}

TEST(ContentCoding, StopsAtItsLimit) {
  const std::string packed = pack(std::string(1 << 20, 'x'), Coding::kGzip, 1 << 20);
  Inflater inflater(1000);
  std::vector<std::byte> room(2000);
  const auto step = inflater.step(bytes_of(packed), room);
  ASSERT_FALSE(step.ok());
  EXPECT_EQ(step.error().code(), ErrorCode::kTooLarge);
}

TEST(ContentCoding, RefusesWhatIsBroken) {
  std::string packed = pack(sample(), Coding::kGzip, 1 << 20);
  EXPECT_EQ(unpack(packed + "x", packed.size() + 1, 64, 1 << 20), "bytes follow the end of the compressed body");
  EXPECT_EQ(unpack(packed.substr(0, packed.size() - 1), packed.size(), 64, 1 << 20), "unfinished");
  packed[packed.size() / 2] = static_cast<char>(~packed[packed.size() / 2]);
  EXPECT_NE(unpack(packed, packed.size(), 64, 1 << 20).find("malformed"), std::string::npos);
  EXPECT_NE(unpack("plain text", 100, 64, 1 << 20).find("malformed"), std::string::npos);
}

}  // namespace
}  // namespace tessera::server::http
