// Several shapes as one model: each batch runs in the shape that is its own.
#include "engine/onnxruntime/cuda/shaped_model.h"

#include <gtest/gtest.h>

namespace tessera::engine {
namespace {

// Counts what it is asked for.
class OneShape final : public LoadedModel {
 public:
  class Plan final : public device::CudaPlan {
   public:
    explicit Plan(OneShape& owner) : owner_(owner) {}
    Status enqueue(const Slice&, const device::LaunchQueue&, Batch&) const override {
      ++owner_.launched;
      return ok_status();
    }
    Status finish(const Slice&, Batch&) const override {
      ++owner_.finished;
      return ok_status();
    }

    bool writes_end() const override { return true; }

   private:
    OneShape& owner_;
  };

  explicit OneShape(FileSignature signature) : signature_(std::move(signature)) {}
  const FileSignature& signature() const override { return signature_; }
  MemoryUse memory() const override { return {.weights = {7}, .packed = {}, .working = {}, .per_home = {}}; }
  bool one_plan_per_slice() const override { return false; }
  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    ++captured;
    return home(bucket, lane, slice);
  }
  Result<const device::Plan*> home(std::int32_t, LaneIndex, const Slice&) override {
    if (refuses) {
      return unsupported("too small a slice");
    }
    ++homed;
    return static_cast<const device::Plan*>(&plan_);
  }
  void drop_home(std::int32_t, LaneIndex, const Slice&) override { --homed; }
  Status build(std::int32_t) override { return ok_status(); }
  bool outdated(std::int32_t, LaneIndex) const override { return old; }
  Status capture(std::int32_t, LaneIndex) override {
    ++captured;
    return ok_status();
  }

  mutable int launched = 0;
  mutable int finished = 0;
  int captured = 0;
  int homed = 0;
  bool refuses = false;
  bool old = false;

 private:
  const FileSignature signature_;
  Plan plan_{*this};
};

// x: [batch, free, 4], y: [batch, 3].
class ShapedModelTest : public testing::Test {
 protected:
  static FileSignature file(std::int64_t length) {
    return {{{"x", DType::kFp32, {-1, length, 4}}, {"y", DType::kFp32, {-1, 3}}}, {{"z", DType::kFp32, {-1, 3}}}, {}};
  }
  ShapedModelTest() {
    std::vector<std::unique_ptr<LoadedModel>> models;
    for (const std::int64_t length : {8, 4}) {
      auto one = std::make_unique<OneShape>(file(length));
      shapes_.push_back(one.get());
      models.push_back(std::move(one));
    }
    model_ = std::make_unique<ShapedModel>(file(-1), true, std::move(models));
  }
  // `y`: as a conversion may give it, in another order than the file's.
  static Batch batch(std::int64_t length, const Shape& y = {3}) {
    Batch batch;
    batch.rows = batch.bucket = 2;
    batch.inputs = {{DType::kFp32, {length, 4}, {}}, {DType::kFp32, y, {}}};
    return batch;
  }

  std::vector<OneShape*> shapes_;
  std::unique_ptr<ShapedModel> model_;
};

TEST_F(ShapedModelTest, EachBatchRunsInItsShape) {
  const auto plan = model_->prepare_home(2, {0}, {0, 1});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(model_->home(2, {0}, {1, 1}).value(), *plan) << "one for all slices";
  EXPECT_NE(model_->prepare_home(2, {1}, {0, 1}).value(), *plan);
  const auto& cuda = dynamic_cast<const device::CudaPlan&>(**plan);
  for (const std::int64_t length : {4, 8, 4}) {
    Batch one = batch(length);
    EXPECT_TRUE(cuda.enqueue({0, 1}, {}, one).ok());
    EXPECT_TRUE(cuda.finish({0, 1}, one).ok());
  }
  Batch other = batch(4, {1, 3});
  EXPECT_TRUE(cuda.enqueue({0, 1}, {}, other).ok()) << "only what is free tells shapes apart";
  EXPECT_EQ(shapes_[0]->launched, 1);
  EXPECT_EQ(shapes_[0]->finished, 1);
  EXPECT_EQ(shapes_[1]->launched, 3);
  Batch none = batch(5);
  const Status refused = cuda.enqueue({0, 1}, {}, none);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message(), "nothing was captured for inputs of [5,4], [3]");
  EXPECT_TRUE(cuda.writes_end());
}

TEST_F(ShapedModelTest, WhatIsDoneIsDoneForAllShapes) {
  EXPECT_EQ(model_->signature().inputs[0].shape, (Shape{-1, -1, 4}));
  EXPECT_EQ(model_->memory().weights, Bytes{7}) << "which they share";
  ASSERT_TRUE(model_->capture(2, {0}).ok());
  ASSERT_TRUE(model_->home(2, {0}, {0, 1}).ok());
  for (const OneShape* shape : shapes_) {
    EXPECT_EQ(shape->captured, 1);
    EXPECT_EQ(shape->homed, 1);
  }
  model_->drop_home(2, {0}, {0, 1});
  EXPECT_EQ(shapes_[0]->homed + shapes_[1]->homed, 0);
  EXPECT_FALSE(model_->outdated(2, {0}));
  shapes_[1]->old = true;
  EXPECT_TRUE(model_->outdated(2, {0}));
  shapes_[1]->refuses = true;
  EXPECT_EQ(model_->home(2, {0}, {0, 1}).error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(shapes_[0]->homed, 0) << "none is left behind";
}

}  // namespace
}  // namespace tessera::engine
