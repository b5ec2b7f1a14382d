#ifndef LORY_WORKER_SERVE_INFERENCE_SERVICE_H_
#define LORY_WORKER_SERVE_INFERENCE_SERVICE_H_

#include "absl/status/status.h"
#include "lory/v1/inference.grpc.pb.h"
#include "worker/serve/front.h"

namespace lory::serve {

// InferenceService on the wire. Thread-safe. `front` outlives it.
class InferenceServiceRpc final : public lory::v1::InferenceService::Service {
 public:
  explicit InferenceServiceRpc(const Front& front) : front_(front) {}

  grpc::Status Generate(
      grpc::ServerContext* context, const lory::v1::GenerateRequest* request,
      grpc::ServerWriter<lory::v1::GenerateResponse>* writer) override;
  grpc::Status Score(grpc::ServerContext* context,
                     const lory::v1::ScoreRequest* request,
                     lory::v1::ScoreResponse* response) override;
  grpc::Status Route(grpc::ServerContext* context,
                     const lory::v1::RouteRequest* request,
                     lory::v1::RouteResponse* response) override;

 private:
  absl::StatusOr<Inference> InferenceOf(lory::v1::Inference inference) const;
  absl::Time DeadlineOf(const grpc::ServerContext& context) const;
  absl::Status Stream(grpc::ServerContext& context,
                      const lory::v1::GenerateRequest& request,
                      grpc::ServerWriter<lory::v1::GenerateResponse>& writer);
  absl::Status ScoreText(grpc::ServerContext& context,
                         const lory::v1::ScoreRequest& request,
                         lory::v1::ScoreResponse& response);
  absl::Status RouteText(grpc::ServerContext& context,
                         const lory::v1::RouteRequest& request,
                         lory::v1::RouteResponse& response);
  // The only piece of a request that makes no tokens.
  absl::StatusOr<GenerationPiece> ReadOnly(grpc::ServerContext& context,
                                           GenerationRequest request);
  grpc::Status Finish(const char* method, absl::Time since,
                      const absl::Status& status);

  const Front& front_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_INFERENCE_SERVICE_H_
