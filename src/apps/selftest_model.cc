#include "apps/selftest_model.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string_view>

namespace tessera::apps {
namespace {

constexpr std::int64_t kFloat = 1;  // of TensorProto.DataType
constexpr std::int64_t kWeights =
    SelftestModel::kFeatures * SelftestModel::kChannels * SelftestModel::kKernel * SelftestModel::kKernel;

// Numbers between -0.25 and 0.25 that repeat late, all of them short in binary.
float weight(std::int64_t index) { return static_cast<float>((index * 37) % 129 - 64) / 256; }

// The wire format of protobuf, as far as it is needed. Owned by one thread.
class Message {
 public:
  Message& integer(std::uint32_t field, std::int64_t value) {
    varint(std::uint64_t{field} << 3);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  Message& text(std::uint32_t field, std::string_view value) {
    varint((std::uint64_t{field} << 3) | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(std::uint32_t field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

Message node(std::string_view operation, std::initializer_list<std::string_view> inputs, std::string_view output) {
  Message out;
  for (const std::string_view input : inputs) out.text(1, input);
  return out.text(2, output).text(4, operation);
}

Message value(std::string_view name, std::initializer_list<std::int64_t> row) {
  Message shape;
  shape.message(1, Message().text(2, "batch"));
  for (const std::int64_t size : row) shape.message(1, Message().integer(1, size));
  return Message().text(1, name).message(2, Message().message(1, Message().integer(1, kFloat).message(2, shape)));
}

Message weights() {
  std::string data(kWeights * sizeof(float), '\0');
  for (std::int64_t i = 0; i < kWeights; ++i) {
    const float each = weight(i);
    std::memcpy(data.data() + i * static_cast<std::int64_t>(sizeof each), &each, sizeof each);
  }
  Message out;
  for (const std::int64_t size :
       {SelftestModel::kFeatures, SelftestModel::kChannels, SelftestModel::kKernel, SelftestModel::kKernel}) {
    out.integer(1, size);
  }
  return out.integer(2, kFloat).text(8, "weights").text(9, data);
}

}  // namespace

std::string SelftestModel::file() {
  Message graph;
  graph.message(1, node("Conv", {"input", "weights"}, "convolved"))
      .message(1, node("Relu", {"convolved"}, "rectified"))
      .message(1, node("GlobalAveragePool", {"rectified"}, "output"))
      .text(2, "selftest")
      .message(5, weights())
      .message(11, value("input", {kChannels, kSide, kSide}))
      .message(12, value("output", {kFeatures, 1, 1}));
  return Message().integer(1, 8).message(7, graph).message(8, Message().integer(2, 13)).bytes();
}

std::vector<float> SelftestModel::expected(std::span<const float> row) {
  constexpr std::int64_t kOut = kSide - kKernel + 1;
  std::vector<float> out;
  for (std::int64_t feature = 0; feature < kFeatures; ++feature) {
    double sum = 0;
    for (std::int64_t place = 0; place < kOut * kOut; ++place) {
      double at = 0;
      for (std::int64_t tap = 0; tap < kChannels * kKernel * kKernel; ++tap) {
        const std::int64_t channel = tap / (kKernel * kKernel);
        const std::int64_t y = place / kOut + tap / kKernel % kKernel;
        const std::int64_t x = place % kOut + tap % kKernel;
        at += static_cast<double>(weight(feature * kChannels * kKernel * kKernel + tap)) *
              static_cast<double>(row[static_cast<std::size_t>((channel * kSide + y) * kSide + x)]);
      }
      sum += std::max(0.0, at);
    }
    out.push_back(static_cast<float>(sum / (kOut * kOut)));
  }
  return out;
}

}  // namespace tessera::apps
