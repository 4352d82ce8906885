// What is remembered of model files, and when it no longer counts.
#include "model/inspections.h"

#include <gtest/gtest.h>

#include <fstream>

#include "model/temp_folder.h"

namespace tessera::model {
namespace {

class InspectionsTest : public testing::Test {
 protected:
  InspectionsTest() : folder_(TempFolder::create().value()) {
    write("model.onnx", "model");
    write("one.bin", "weights");
    write("two.bin", "others!");
    std::filesystem::create_symlink("one.bin", path("weights.bin"));
  }

  std::filesystem::path path(const std::string& name) const { return folder_->path() / name; }
  void write(const std::string& name, const std::string& content) const { std::ofstream(path(name)) << content; }
  VersionFiles files() const { return {path("model.onnx"), folder_->path(), {stamp_of(path("model.onnx")).value()}}; }
  // As a load finds and keeps it.
  void keep() {
    Inspection inspection{files(), {{}, {}, {"weights.bin"}}, "digest"};
    ASSERT_TRUE(add_external(inspection.signature.external_data, inspection.found).ok());
    inspections_.keep(inspection);
  }

  const std::shared_ptr<const TempFolder> folder_;
  Inspections inspections_;
};

TEST_F(InspectionsTest, AreFoundWhileNothingChanges) {
  EXPECT_FALSE(inspections_.find(files()).has_value());
  keep();
  const auto found = inspections_.find(files());
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->digest, "digest");
  EXPECT_EQ(found->found.stamps.size(), 2U);
}

TEST_F(InspectionsTest, AChangedFileIsReadAnew) {
  keep();
  write("model.onnx", "other");
  EXPECT_FALSE(inspections_.find(files()).has_value());
  keep();
  EXPECT_TRUE(inspections_.find(files()).has_value());
  write("one.bin", "weights of other size");
  EXPECT_FALSE(inspections_.find(files()).has_value());
}

TEST_F(InspectionsTest, ALinkThatLeadsElsewhereIsAChange) {
  keep();
  std::filesystem::remove(path("weights.bin"));
  EXPECT_FALSE(inspections_.find(files()).has_value()) << "not there";
  std::filesystem::create_symlink("two.bin", path("weights.bin"));
  EXPECT_FALSE(inspections_.find(files()).has_value()) << "other weights, though the old ones are as they were";
  std::filesystem::remove(path("weights.bin"));
  std::filesystem::create_symlink("/etc/passwd", path("weights.bin"));
  EXPECT_FALSE(inspections_.find(files()).has_value()) << "out of the folder";
}

TEST_F(InspectionsTest, AreBounded) {
  for (std::size_t i = 0; i < Inspections::kMost + 10; ++i) {
    Inspection inspection{files(), {}, "digest"};
    inspection.found.model = path("model" + std::to_string(i));
    inspections_.keep(inspection);
  }
  keep();
  std::size_t there = 0;
  for (std::size_t i = 0; i < Inspections::kMost + 10; ++i) {
    VersionFiles found = files();
    found.model = path("model" + std::to_string(i));
    there += inspections_.find(found) ? 1 : 0;
  }
  EXPECT_LE(there, Inspections::kMost);
  EXPECT_GT(there, Inspections::kMost - 10);
}

}  // namespace
}  // namespace tessera::model
