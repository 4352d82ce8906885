#include "runtime/admission.h"

#include <gtest/gtest.h>

#include "support.h"

namespace tessera::runtime::test {
namespace {

// One request to a model of our choice, admitted without a server.
class Admission : public testing::Test {
 protected:
  void model(
      ModelSignature signature, const std::function<void(sched::ModelParams&)>& adjust = [](auto&) {}) {
    DeviceShape device;
    device.processors = {1, 1};
    device.ladder = aligned_ladder(2);
    ticket.served =
        std::make_shared<ServedInstance>(make_instance({1}, "M", add_sub_plan(), signature, adjust), device);
  }
  void SetUp() override { model(add_sub_signature()); }

  InputTensor input(std::string name, DType dtype, Shape shape, std::size_t bytes) {
    memory.push_back(std::make_unique<std::vector<std::byte>>(bytes));
    return {std::move(name), {dtype, shape, *memory.back()}};
  }
  InputTensor strings(std::string name, Shape shape, std::string_view data) {
    return {std::move(name), {DType::kBytes, shape, std::as_bytes(std::span(data))}};
  }
  void good() { request.inputs = {input("A", DType::kInt32, {1, 16}, 64), input("B", DType::kInt32, {1, 16}, 64)}; }
  std::string error() {
    const Status status = admit(request, ticket);
    return status.ok() ? "" : status.error().message();
  }

  std::vector<std::unique_ptr<std::vector<std::byte>>> memory;
  InferRequest request;
  Ticket ticket;
};

TEST_F(Admission, SortsInputsAndOutputsIntoTheModelsOrder) {
  good();
  std::swap(request.inputs[0], request.inputs[1]);
  request.outputs = {"DIFFERENCE", "SUM"};
  EXPECT_EQ(error(), "");
  EXPECT_EQ(ticket.inputs, (std::vector<std::uint32_t>{1, 0}));
  EXPECT_EQ(ticket.outputs, (std::vector<std::uint32_t>{1, 0}));
  EXPECT_EQ(ticket.rows, 1);
}

TEST_F(Admission, NamesAnUnexpectedInputBehindTheRequestsId) {
  good();
  request.inputs[1].name = "X";
  EXPECT_EQ(error(), "[request id: <id_unknown>] unexpected inference input 'X' for model 'M'");
  request.id = "7";
  EXPECT_EQ(error(), "[request id: 7] unexpected inference input 'X' for model 'M'");
}

TEST_F(Admission, NamesAnUnexpectedOutput) {
  good();
  request.outputs = {"SUM", "X"};
  EXPECT_EQ(error(), "[request id: <id_unknown>] unexpected inference output 'X' for model 'M'");
}

TEST_F(Admission, RefusesAnOutputAskedForTwiceHoweverLongTheList) {
  good();
  request.outputs = {"SUM", "SUM"};
  EXPECT_EQ(error(), "[request id: <id_unknown>] inference output 'SUM' is asked for more than once for model 'M'");
  request.outputs.assign(100000, "SUM");
  EXPECT_EQ(error(), "[request id: <id_unknown>] inference output 'SUM' is asked for more than once for model 'M'");
}

TEST_F(Admission, RefusesAnInputGivenTwice) {
  good();
  request.inputs[1].name = "A";
  EXPECT_EQ(error(), "[request id: <id_unknown>] inference input 'A' is given more than once for model 'M'");
  good();
  request.inputs.push_back(request.inputs[1]);
  EXPECT_EQ(error(), "[request id: <id_unknown>] inference input 'B' is given more than once for model 'M'");
}

TEST_F(Admission, NamesMissingInputs) {
  good();
  request.inputs.erase(request.inputs.begin());
  EXPECT_EQ(
      error(),
      "[request id: <id_unknown>] expected 2 inputs but got 1 inputs for model 'M'. Got input(s) ['B'], but missing "
      "required input(s) ['A']. Please provide all required input(s).");
}

TEST_F(Admission, NamesBothTypesOfAMismatch) {
  good();
  request.inputs[0].tensor.dtype = DType::kFp32;
  EXPECT_EQ(error(),
            "[request id: <id_unknown>] inference input 'A' data-type is 'FP32', but model 'M' expects 'INT32'");
}

TEST_F(Admission, LimitsTheBatchSize) {
  request.inputs = {input("A", DType::kInt32, {9, 16}, 576), input("B", DType::kInt32, {9, 16}, 576)};
  EXPECT_EQ(error(), "[request id: <id_unknown>] inference request batch-size must be <= 8 for 'M'");
}

TEST_F(Admission, WantsOneBatchSizeForAllInputs) {
  request.inputs = {input("A", DType::kInt32, {2, 16}, 128), input("B", DType::kInt32, {1, 16}, 64)};
  EXPECT_EQ(error(), "[request id: <id_unknown>] input 'B' batch size does not match other inputs for model 'M'");
}

TEST_F(Admission, NamesAnUnexpectedShape) {
  good();
  request.inputs[0].tensor.shape = {1, 15};
  EXPECT_EQ(error(),
            "[request id: <id_unknown>] unexpected shape for input 'A' for model 'M'. Expected [-1,16], got [1,15]");
  request.inputs[0].tensor.shape = {16};
  request.inputs[1].tensor.shape = {16};
  EXPECT_EQ(error(), "[request id: <id_unknown>] inference request batch-size must be <= 8 for 'M'");
  request.inputs[0].tensor.shape = {};
  EXPECT_EQ(error(),
            "[request id: <id_unknown>] unexpected shape for input 'A' for model 'M'. Expected [-1,16], got []");
  request.inputs[0].tensor.shape = {-1, 16};
  request.inputs[1].tensor.shape = {-1, 16};
  EXPECT_EQ(error(),
            "[request id: <id_unknown>] unexpected shape for input 'A' for model 'M'. Expected [-1,16], got [-1,16]");
}

TEST_F(Admission, NamesAByteSizeMismatch) {
  good();
  request.inputs[1].tensor.data = request.inputs[1].tensor.data.first(63);
  EXPECT_EQ(error(),
            "[request id: <id_unknown>] input byte size mismatch for input 'B' for model 'M'. Expected 64, got 63");
}

TEST_F(Admission, RefusesShapesThatOverflow) {
  model({{{"A", DType::kInt64, {-1, -1}}}, {{"O", DType::kInt64, {-1}}}, 0});
  request.inputs = {input("A", DType::kInt64, {std::int64_t{1} << 40, std::int64_t{1} << 40}, 8)};
  EXPECT_NE(error().find("is too large"), std::string::npos);
  request.inputs[0].tensor.shape = {std::int64_t{1} << 61, 1};
  EXPECT_NE(error().find("too large"), std::string::npos);
}

TEST_F(Admission, TakesZeroSizedDimensions) {
  model({{{"A", DType::kFp32, {-1, 4}}}, {{"O", DType::kFp32, {-1}}}, 8});
  request.inputs = {input("A", DType::kFp32, {2, 0, 4}, 0)};
  EXPECT_EQ(error(), "");
  EXPECT_EQ(ticket.rows, 2);
  request.inputs[0].tensor.shape = {0, 3, 4};
  EXPECT_EQ(error(), "");
  EXPECT_EQ(ticket.rows, 0);
}

TEST_F(Admission, ChecksTheLengthsInBytes) {
  using namespace std::string_view_literals;
  model({{{"S", DType::kBytes, {2}}}, {{"O", DType::kBytes, {2}}}, 0});
  request.inputs = {strings("S", {2}, "\1\0\0\0a\0\0\0\0"sv)};
  EXPECT_EQ(error(), "");
  request.inputs = {strings("S", {2}, "\1\0\0\0a\xff\xff\xff\xff"sv)};
  EXPECT_NE(error().find("[request id: <id_unknown>] input 'S' for model 'M': BYTES element 1 announces"),
            std::string::npos);
  request.inputs = {strings("S", {2}, "\1\0\0\0a\0\0\0\0x"sv)};
  EXPECT_NE(error().find("1 bytes after"), std::string::npos);
}

TEST_F(Admission, EqualRowShapesAreOneClassWhateverTheNumberOfRows) {
  model({{{"A", DType::kUint8, {-1}}}, {{"O", DType::kUint8, {-1}}}, 8});
  const auto shape_of = [&](std::int64_t rows, std::int64_t columns) {
    request.inputs = {input("A", DType::kUint8, {rows, columns}, static_cast<std::size_t>(rows * columns))};
    EXPECT_EQ(error(), "");
    return ticket.shape;
  };
  const ShapeId five = shape_of(1, 5);
  EXPECT_EQ(shape_of(3, 5), five);
  EXPECT_NE(shape_of(1, 6), five);
  EXPECT_EQ(shape_of(2, 5), five);
}

TEST_F(Admission, APriorityBeyondTheModelsLevelsIsRefusedWhereThereAreLevels) {
  good();
  request.priority = 9;
  EXPECT_EQ(error(), "");
  EXPECT_EQ(ticket.priority, 0U);
  model(add_sub_signature(), [](sched::ModelParams& params) { params.priority_levels = 3; });
  EXPECT_EQ(error(),
            "[request id: <id_unknown>] priority 9 is out of range for model 'M'. Expected 0 (the default) to 3");
  request.priority = 3;
  EXPECT_EQ(error(), "");
  EXPECT_EQ(ticket.priority, 3U);
}

TEST_F(Admission, ATimeoutOfZeroIsNoneAndALongOneSaturates) {
  good();
  request.timeout = microseconds(0);
  EXPECT_EQ(error(), "");
  EXPECT_FALSE(ticket.timeout.has_value());
  request.timeout = microseconds::max();
  EXPECT_EQ(error(), "");
  EXPECT_EQ(ticket.timeout, kForever);
  request.timeout = microseconds(1500);
  EXPECT_EQ(error(), "");
  EXPECT_EQ(ticket.timeout, Duration(microseconds(1500)));
}

}  // namespace
}  // namespace tessera::runtime::test
