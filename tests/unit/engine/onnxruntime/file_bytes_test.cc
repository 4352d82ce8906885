#include "engine/onnxruntime/file_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace tessera::engine {
namespace {

namespace fs = std::filesystem;

class FileBytesTest : public testing::Test {
 protected:
  FileBytesTest() {
    std::string name = (fs::temp_directory_path() / "tessera-test-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = folder_ / "model.onnx";
    std::string content(100'000, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 37 % 251);
    std::ofstream(file_, std::ios::binary) << content;
  }
  ~FileBytesTest() override { fs::remove_all(folder_); }

  fs::path folder_;
  fs::path file_;
};

TEST_F(FileBytesTest, BothWaysReadTheSame) {
  const auto mapped = FileBytes::map(file_);
  const auto file = ReadableFile::open(file_);
  ASSERT_TRUE(mapped.ok() && file.ok());
  EXPECT_EQ(file->size(), mapped->bytes().size());
  EXPECT_EQ(file->name(), "model.onnx");
  std::vector<std::byte> piece(1000);
  ASSERT_TRUE(file->read_at(4321, piece).ok());
  EXPECT_TRUE(std::equal(piece.begin(), piece.end(), mapped->bytes().begin() + 4321));
}

TEST_F(FileBytesTest, WhatIsNoFileIsAnError) {
  fs::resize_file(file_, 0);
  EXPECT_TRUE(FileBytes::map(file_)->bytes().empty());
  EXPECT_EQ(ReadableFile::open(file_)->size(), 0U);
  EXPECT_EQ(FileBytes::map(folder_ / "missing").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ReadableFile::open(folder_ / "missing").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(FileBytes::map(folder_).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(ReadableFile::open(folder_).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(FileBytesTest, AFileThatShrinksIsUnavailable) {
  const auto file = ReadableFile::open(file_);
  ASSERT_TRUE(file.ok());
  fs::resize_file(file_, 50'000);
  std::vector<std::byte> piece(1000);
  EXPECT_TRUE(file->read_at(49'000, piece).ok());
  const Status beyond = file->read_at(49'001, piece);
  ASSERT_FALSE(beyond.ok());
  EXPECT_EQ(beyond.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(file->size(), 100'000U);
}

}  // namespace
}  // namespace tessera::engine
