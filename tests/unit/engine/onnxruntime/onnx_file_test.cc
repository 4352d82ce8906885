#include "engine/onnxruntime/onnx_file.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/onnx_writer.h"

namespace tessera::engine {
namespace {

using test_support::nested;
using test_support::OnnxWriter;
using test_support::span_of;
using test_support::WireWriter;

OnnxWriter with_three_initialisers() {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {2}).input("overridable", DType::kFp32, {2}).output("OUTPUT0", DType::kFp32, {2});
  model.initializer("inline", DType::kInt64, {2, 1}, std::string(16, 'x'));
  model.external_initializer("outside", DType::kFp32, {3, 4}, "weights.bin", 4096, 48);
  model.initializer("overridable", DType::kFp32, {2}, std::string(8, 'y'));
  model.node("Add", {"INPUT0", "overridable"}, {"OUTPUT0"});
  return model;
}

TEST(OnnxFileTest, FindsWhereInitialisersLie) {
  const std::string model = with_three_initialisers().bytes();
  const auto found = read_initializers(span_of(model));
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 2U);  // what an input can override is none
  EXPECT_EQ((*found)[0].name, "inline");
  EXPECT_EQ((*found)[0].dims, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ((*found)[0].raw.size(), 16U);
  EXPECT_FALSE((*found)[0].external);
  EXPECT_EQ((*found)[1].name, "outside");
  EXPECT_TRUE((*found)[1].external);
  EXPECT_EQ((*found)[1].location, "weights.bin");
  EXPECT_EQ((*found)[1].offset, 4096U);
  EXPECT_EQ((*found)[1].length, 48U);
}

TEST(OnnxFileTest, ReadsPackedDimensions) {
  WireWriter tensor;
  tensor.text(1, std::string("\x03\x80\x01", 3));  // 3, 128
  tensor.integer(2, 1);
  tensor.text(8, "W");
  WireWriter graph;
  graph.text(5, tensor.bytes());
  WireWriter model;
  model.text(7, graph.bytes());
  const auto found = read_initializers(span_of(model.bytes()));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)[0].dims, (std::vector<std::int64_t>{3, 128}));
}

// A tensor with a location, put at the end of a path of message fields.
std::string located(std::initializer_list<std::uint32_t> path, const std::string& location) {
  WireWriter entry;
  entry.text(1, "location");
  entry.text(2, location);
  WireWriter tensor;
  tensor.text(13, entry.bytes());
  return nested(path, tensor.bytes());
}

TEST(OnnxFileTest, FindsExternalDataWhereverItHides) {
  // model.graph.{initializer, sparse_initializer, node.attribute.{t, tensors, sparse_tensor, g, graphs}}, functions.
  const std::string model = located({7, 5}, "a") + located({7, 15, 1}, "b") + located({7, 15, 2}, "c") +
                            located({7, 1, 5, 5}, "d") + located({7, 1, 5, 10}, "e") + located({7, 1, 5, 22, 1}, "f") +
                            located({7, 1, 5, 6, 5}, "g") + located({7, 1, 5, 11, 1, 5, 5}, "h") +
                            located({25, 7, 5, 5}, "i") + located({25, 11, 5}, "j") + located({7, 5}, "a");
  const auto found = external_locations(span_of(model));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, (std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}));
}

TEST(OnnxFileTest, EndlessNestingIsRefused) {
  std::string graph;
  for (int depth = 0; depth < 100; ++depth) {
    WireWriter attribute;
    attribute.text(6, graph);
    WireWriter node;
    node.text(5, attribute.bytes());
    WireWriter outer;
    outer.text(1, node.bytes());
    graph = outer.bytes();
  }
  WireWriter model;
  model.text(7, graph);
  EXPECT_FALSE(external_locations(span_of(model.bytes())).ok());
}

TEST(OnnxFileTest, DamagedBytesAreReadOrRefusedButNeverOverrun) {
  constexpr std::uint32_t kSeed = 20261124;
  std::mt19937 random(kSeed);
  const std::string good = with_three_initialisers().bytes();
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = good.substr(0, 1 + random() % good.size());
    for (std::uint32_t i = random() % 4; i > 0; --i) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    const std::vector<char> exact(damaged.begin(), damaged.end());  // so that a sanitizer sees each byte beyond
    const auto message = std::as_bytes(std::span<const char>(exact));
    refused += read_initializers(message).ok() ? 0 : 1;
    static_cast<void>(external_locations(message));
    static_cast<void>(read_declared_signature(message));
  }
  EXPECT_GT(refused, 1000) << "seed " << kSeed;
}

}  // namespace
}  // namespace tessera::engine
