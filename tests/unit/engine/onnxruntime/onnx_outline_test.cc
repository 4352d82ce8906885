#include "engine/onnxruntime/onnx_outline.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "engine/onnxruntime/onnx_fields.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/outline_agreement.h"

namespace tessera::engine {
namespace {

using test_support::MemoryFile;
using test_support::nested;
using test_support::OnnxWriter;
using test_support::span_of;

// For small files: so little is left out and read at once.
constexpr OutlineSizes kSmall{Bytes{8}, Bytes{OnnxFieldHead::kMostBytes}};

std::string text_of(const Result<OnnxOutline>& outline) {
  TESSERA_CHECK(outline.ok());
  return {reinterpret_cast<const char*>(outline->bytes().data()), outline->bytes().size()};
}

std::string outline_of(const std::string& model, const OutlineSizes& sizes = {}) {
  return text_of(read_outline(MemoryFile(span_of(model)).open(), sizes));
}

std::string disagreement(const std::string& model, const OutlineSizes& sizes = {}) {
  return test_support::disagreement(MemoryFile(span_of(model)), span_of(model), sizes);
}

OnnxWriter with_initialisers(std::size_t size) {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {"batch", 2}).input("overridable", DType::kUint8, {2});
  model.initializer("long", DType::kUint8, {static_cast<std::int64_t>(size)}, std::string(size, 'x'));
  model.external_initializer("outside", DType::kFp32, {3, 4}, "weights.bin", 4096, 48);
  model.initializer("short", DType::kUint8, {2}, "yy").initializer("overridable", DType::kUint8, {2}, "zz");
  model.node("Add", {"INPUT0", "overridable"}, {"OUTPUT0"}).output("OUTPUT0", DType::kFp32, {"batch", 2});
  return model;
}

TEST(OnnxOutlineTest, LeavesOutWhatIsLong) {
  const std::string model = with_initialisers(1 << 20).bytes();
  EXPECT_EQ(disagreement(model), "");
  const std::string outline = outline_of(model);
  EXPECT_LT(outline.size(), 1024U);
  const auto found = read_initializers(span_of(outline));
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].name, "long");
  EXPECT_EQ((*found)[0].dims, (std::vector<std::int64_t>{1 << 20}));
  EXPECT_TRUE((*found)[0].raw.empty());
  EXPECT_EQ((*found)[2].raw.size(), 2U);
}

// Were they read, it would take minutes.
TEST(OnnxOutlineTest, DoesNotReadWhatItLeavesOut) {
  constexpr std::uint64_t kHole = 1ULL << 40;
  // Lengths in six bytes: of the graph, of the tensor, of its raw_data.
  const auto head = [](char field, std::uint64_t size) {
    std::string text(1, static_cast<char>(field << 3 | 2));
    for (int i = 0; i < 6; ++i) text += static_cast<char>((size >> (7 * i) & 0x7f) | (i < 5 ? 0x80 : 0));
    return text;
  };
  const std::string name = nested({8}, "W");
  const std::string before = head(7, kHole + 2 * 7 + name.size()) + head(5, kHole + 7 + name.size()) + head(9, kHole);
  MemoryFile file(span_of(before));
  file.put(before.size() + kHole, span_of(name));
  const std::string outline = text_of(read_outline(file.open(), {.most = Bytes{1000}}));
  EXPECT_EQ(outline, head(7, 7 + name.size()) + head(5, name.size()) + name);
  const auto found = read_initializers(span_of(outline));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->at(0).name, "W");
}

TEST(OnnxOutlineTest, LeavesOutEveryFieldOfData) {
  for (const std::uint32_t field : {4U, 5U, 6U, 7U, 9U, 10U, 11U}) {
    const std::string kept = nested({7, 5, field}, std::string(4096, 'x'));
    EXPECT_EQ(outline_of(kept), kept) << field;
    const std::string outline = outline_of(nested({7, 5, field}, std::string(4097, 'x')));
    EXPECT_EQ(outline, std::string("\x3a\x83\x00\x2a\x80\x00", 6)) << field;
  }
}

TEST(OnnxOutlineTest, KeepsEverythingElse) {
  const std::string content(300'000, 'x');
  std::string model;
  // Other fields of the model, the graph and the tensor; tensors elsewhere: of attributes, subgraphs, functions.
  for (const auto& path : std::initializer_list<std::initializer_list<std::uint32_t>>{
           {2}, {7, 2}, {7, 5, 8}, {7, 5, 12}, {7, 1, 5, 5, 9}, {7, 1, 5, 6, 5, 9}, {7, 15, 1, 9}, {25, 7, 5, 5, 9}}) {
    model += nested(path, content);
  }
  EXPECT_TRUE(outline_of(model) == model);
  EXPECT_TRUE(outline_of(model, kSmall) == model);
}

// Whatever a chunk ends with, a field's head, its name or its data, and wherever.
TEST(OnnxOutlineTest, ChunksEndAnywhere) {
  const std::string model = with_initialisers(100).bytes();
  for (std::uint64_t chunk = OnnxFieldHead::kMostBytes; chunk < model.size() + 2; ++chunk) {
    for (const std::uint64_t kept : {0, 1, 2, 99, 100}) {
      EXPECT_EQ(disagreement(model, {Bytes{kept}, Bytes{chunk}}), "") << chunk << " " << kept;
    }
  }
}

TEST(OnnxOutlineTest, AFileCutAnywhereIsRefusedAsAWhole) {
  const std::string model = with_initialisers(100).bytes();
  int refused = 0;
  for (std::size_t size = 0; size < model.size(); ++size) {
    EXPECT_EQ(disagreement(model.substr(0, size)), "") << size;
    EXPECT_EQ(disagreement(model.substr(0, size), kSmall), "") << size;
    refused += read_outline(MemoryFile(span_of(model.substr(0, size))).open()).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 100);
}

TEST(OnnxOutlineTest, DamagedBytesGiveWhatTheWholeFileGives) {
  constexpr std::uint32_t kSeed = 20261129;
  std::mt19937 random(kSeed);
  const std::string good = with_initialisers(40).bytes() + nested({7, 1, 5, 6, 5}, nested({9}, std::string(9, 'x')));
  int refused = 0;
  int left_out = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = random() % 2 == 0 ? good : good.substr(0, 1 + random() % good.size());
    for (std::uint32_t i = random() % 4; i > 0; --i) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    ASSERT_EQ(disagreement(damaged, kSmall), "") << "seed " << kSeed << " round " << round;
    const auto outline = read_outline(MemoryFile(span_of(damaged)).open(), kSmall);
    refused += outline.ok() ? 0 : 1;
    left_out += outline.ok() && outline->bytes().size() < damaged.size() ? 1 : 0;
  }
  EXPECT_GT(refused, 1000) << "seed " << kSeed;
  EXPECT_GT(left_out, 1000) << "seed " << kSeed;
}

TEST(OnnxOutlineTest, AFileThatShrinksIsUnavailable) {
  const std::string model = nested({2}, std::string(100'000, 'x')) + nested({7, 5, 9}, std::string(100'000, 'x'));
  // Cut within what is kept, within what is left out, and by its last byte.
  for (const std::size_t size : {std::size_t{0}, std::size_t{70'000}, std::size_t{150'000}, model.size() - 1}) {
    MemoryFile file(span_of(model));
    const ReadableFile opened = file.open();
    file.resize(size);
    const auto outline = read_outline(opened);
    ASSERT_FALSE(outline.ok()) << size;
    EXPECT_EQ(outline.error().code(), ErrorCode::kUnavailable) << size;
  }
  // Whatever it looks like by then.
  MemoryFile file(span_of(model));
  const ReadableFile opened = file.open();
  file.hold(span_of(std::string(50'000, '\xff')));
  EXPECT_EQ(read_outline(opened).error().code(), ErrorCode::kUnavailable);
}

TEST(OnnxOutlineTest, HasALimit) {
  const std::string model = nested({7, 1}, std::string(1000, 'x')) + nested({7, 5, 9}, std::string(9000, 'y'));
  const MemoryFile file(span_of(model));
  const std::size_t size = outline_of(model).size();
  EXPECT_TRUE(read_outline(file.open(), {.most = Bytes{size}}).ok());
  const auto refused = read_outline(file.open(), {.most = Bytes{size - 1}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kTooLarge);
  EXPECT_NE(refused.error().message().find(std::to_string(size - 1)), std::string::npos);
}

TEST(OnnxOutlineTest, OfNothingIsNothing) { EXPECT_EQ(outline_of(""), ""); }

// The models of the demo, where set-up has fetched them.
TEST(OnnxOutlineTest, RealModelsAreReadAsBefore) {
  const char* source = std::getenv("TESSERA_SOURCE_DIR");
  const auto folder = std::filesystem::path(source == nullptr ? "." : source) / ".deps" / "models";
  int read = 0;
  for (const char* name : {"ocr_detection.onnx", "ocr_recognition.onnx", "ocr_orientation.onnx", "faces.onnx"}) {
    const auto whole = FileBytes::map(folder / name);
    if (!whole.ok()) continue;
    ++read;
    EXPECT_EQ(test_support::disagreement(MemoryFile(whole->bytes()), whole->bytes()), "") << name;
  }
  if (read == 0) GTEST_SKIP() << "no models in " << folder;
}

}  // namespace
}  // namespace tessera::engine
