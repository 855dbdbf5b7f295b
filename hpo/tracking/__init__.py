"""Records of studies in MLflow. The service never reads decisions back from MLflow."""
