#include "engine/onnxruntime/file_bytes.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace tessera::engine {
namespace {

namespace fs = std::filesystem;

class FileBytesTest : public testing::Test {
 protected:
  FileBytesTest() {
    std::string name = (fs::temp_directory_path() / "tessera-test-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = folder_ / "model.onnx";
    std::ofstream(file_) << std::string(100'000, 'x');
  }
  ~FileBytesTest() override { fs::remove_all(folder_); }

  fs::path folder_;
  fs::path file_;
};

TEST_F(FileBytesTest, ACopyOutlivesTheContent) {
  const auto copy = FileBytes::read(file_);
  ASSERT_TRUE(copy.ok());
  fs::resize_file(file_, 0);
  ASSERT_EQ(copy->bytes().size(), 100'000U);
  EXPECT_EQ(copy->bytes().back(), std::byte{'x'});
}

TEST_F(FileBytesTest, BothWaysReadTheSame) {
  const auto mapped = FileBytes::map(file_);
  const auto copy = FileBytes::read(file_);
  ASSERT_TRUE(mapped.ok() && copy.ok());
  EXPECT_TRUE(std::equal(mapped->bytes().begin(), mapped->bytes().end(), copy->bytes().begin(), copy->bytes().end()));
}

TEST_F(FileBytesTest, WhatIsNoFileIsAnError) {
  fs::resize_file(file_, 0);
  for (const auto way : {&FileBytes::map, &FileBytes::read}) {
    EXPECT_TRUE((*way)(file_)->bytes().empty());
    EXPECT_EQ((*way)(folder_ / "missing").error().code(), ErrorCode::kNotFound);
    EXPECT_EQ((*way)(folder_).error().code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace tessera::engine
